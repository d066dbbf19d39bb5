/**
 * The one way from a bus to the engine, for the unscoped bus and for those of one entity type.
 * Owns: when a call waits for the start of the application, and the promises in refused payloads.
 * Neighbours: `queue-bus.ts` is the API; `job-requests.ts` makes the requests.
 */
import type { EnqueuedFlow, EnqueuedJob, ScheduledJob } from '../../core/enqueue/requests.js';
import { InvalidCommandError, rejecting } from '../../core/model/errors.js';
import type { Schedule } from '../../core/model/schedule.js';
import { ignoreRejections } from '../../core/payload/ignored-rejections.js';
import type { Runtime, Started } from '../runtime.js';
import type { BulkOptions, EnqueueOptions, FlowNode, WaitOptions } from './bus-options.js';
import { checkQueueName, type Given, JobRequests, type Scope } from './job-requests.js';

export class Sender {
  constructor(
    private readonly runtime: Runtime,
    private readonly requests = new JobRequests(),
    private readonly scope?: Scope,
  ) {}

  /** A sender for one entity type. */
  within(scope: Scope): Sender {
    return new Sender(this.runtime, this.requests, scope);
  }

  send(given: Given, options: EnqueueOptions | undefined): Promise<EnqueuedJob> {
    return this.through(payloadOf(given), ready => ready.engine.enqueue(this.request(ready, given, options)));
  }

  sendBulk(commands: readonly object[], options: BulkOptions | undefined): Promise<EnqueuedJob[]> {
    return this.through(commands, ready => {
      if (!Array.isArray(commands)) throw new InvalidCommandError('enqueueBulk() needs an array of commands.');
      const optionsOf = typeof options === 'function' ? options : () => options;
      const requests = commands.map((command, at) => this.request(ready, { command }, optionsOf(command, at)));
      return ready.engine.enqueueBulk(requests).catch(dropping(commands));
    });
  }

  sendAndWait(given: Given, { timeoutMs, signal, cancelJob, ...options }: WaitOptions = {}): Promise<unknown> {
    return this.through(payloadOf(given), ready => {
      const request = this.request(ready, given, options);
      this.runtime.checkWorks(request.entityType);
      return ready.engine.enqueueAndWait(request, { timeoutMs, signal, cancelJob }).catch(dropping(request.data));
    });
  }

  sendFlow(flow: FlowNode): Promise<EnqueuedFlow> {
    return this.through(flow, ready =>
      ready.engine.enqueueFlow(this.requests.ofFlow(ready, flow)).catch(dropping(flow)),
    );
  }

  schedule(given: Given, schedule: Schedule, options: EnqueueOptions | undefined): Promise<ScheduledJob> {
    return this.through(payloadOf(given), ready =>
      ready.engine.schedule(this.request(ready, given, options), schedule).catch(dropping(payloadOf(given))),
    );
  }

  private request(ready: Started, given: Given, options: EnqueueOptions | undefined) {
    return this.requests.of(ready, given, options, this.scope);
  }

  /**
   * Waits only if the application is still starting, so calls of one tick keep their order, whichever methods they use.
   * @param payloads the payloads of the call. If it is refused before the engine has them, their rejections are ignored.
   */
  private through<T>(payloads: unknown, use: (ready: Started) => Promise<T>): Promise<T> {
    const send = (ready: Started) => {
      try {
        if (this.scope) checkQueueName(this.scope, ready);
        return use(ready);
      } catch (error) {
        return dropping(payloads)(error);
      }
    };
    const { started } = this.runtime;
    return started instanceof Promise ? started.then(send) : rejecting(() => send(started));
  }
}

const payloadOf = ({ command, job }: Given): unknown => command ?? job;

/** For a failed call, some of whose payloads may not have been inspected. */
function dropping(payloads: unknown): (error: unknown) => never {
  return error => {
    // guards: sender.dropping
    ignoreRejections(payloads);
    throw error;
  };
}
