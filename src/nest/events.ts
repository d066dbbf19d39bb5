/** The stream of lifecycle events. Neighbour: `core/model/events.ts` declares them. */
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { type Observable, Subject } from 'rxjs';
import { detached } from '../core/model/detached.js';
import type { EventSink, LifecycleEvent } from '../core/model/events.js';

/**
 * The events of this pod. The stream costs nothing without a subscriber, and completes when the application has shut down. Events come
 * while jobs run, so subscribers must be quick. RxJS throws an error of a subscriber to the process.
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

  /** @internal The engine emits here. */
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
    // A subscriber runs neither in the context of a job nor in that of the code that woke the worker.
    // guards: events.sinkOf
    emit: event => detached(() => subject.next(event)),
  };
}
