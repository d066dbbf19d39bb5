/** The lifecycle of workers and jobs as a stream. Neighbour: `core/model/events.ts` says what is told. */
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { type Observable, Subject } from 'rxjs';
import { detached } from '../core/model/detached.js';
import type { EventSink, LifecycleEvent } from '../core/model/events.js';

/**
 * What happens on this pod. Costs nothing until somebody subscribes; completes when the application has shut down.
 * Events come while jobs run: subscribers should be quick, and an error in one is thrown to the process by RxJS.
 *
 * @example
 * ```ts
 * constructor(events: AtomicQueuesEvents) {
 *   events.stream.pipe(filter(({ type }) => type === 'worker.lost')).subscribe(event => this.logger.warn(event));
 * }
 * ```
 */
@Injectable()
export class AtomicQueuesEvents implements OnApplicationShutdown {
  private readonly subject = new Subject<LifecycleEvent>();
  readonly stream: Observable<LifecycleEvent> = this.subject.asObservable();

  /** @internal What the engine tells. */
  readonly sink: EventSink = sinkOf(this.subject);

  onApplicationShutdown(): void {
    this.subject.complete();
  }
}

function sinkOf(subject: Subject<LifecycleEvent>): EventSink {
  return {
    get observed() {
      return subject.observed;
    },
    // A subscriber is not in the context of a job, nor of the code that has woken a worker.
    // guards: events.sinkOf
    emit: event => detached(() => subject.next(event)),
  };
}
