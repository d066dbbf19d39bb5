/**
 * Observables that handlers return. A job waits for the last value, as a request does whose controller returns an Observable.
 *
 * Owns what an Observable means as a result. Neighbours: `handler-method.ts` calls methods, `nest/handlers/cqrs-bridge.ts` buses.
 */
import { defaultIfEmpty, isObservable, lastValueFrom, Observable, takeUntil } from 'rxjs';
import { ClosedError } from '../../core/model/errors.js';
import type { EntityContext } from '../../core/model/job.js';

/**
 * What a handler has returned, with the last value in place of an Observable; undefined in place of an empty one. When the signal
 * of its run aborts, the Observable is unsubscribed, and the reason of the signal is thrown; unless the pod shuts down: then that would
 * fail the job, which is to run again elsewhere, and let the next one start while what the Observable was made of still runs (race 12).
 */
export async function lastValue(result: unknown, context: Pick<EntityContext, 'signal'>): Promise<unknown> {
  const value = await result;
  return isStream(value) ? lastValueFrom(untilAborted(value, context)) : value;
}

/** As {@link lastValue}, for Nest's interceptors, which see each value: an Observable stays one. */
export async function stoppable(result: unknown, context: Pick<EntityContext, 'signal'>): Promise<unknown> {
  const value = await result;
  return isStream(value) ? untilAborted(value, context) : value;
}

/** A result may be a proxy that throws when it is looked at: it is no Observable. */
function isStream(value: unknown): value is Observable<unknown> {
  try {
    return isObservable(value);
  } catch {
    return false;
  }
}

function untilAborted(stream: Observable<unknown>, { signal }: Pick<EntityContext, 'signal'>): Observable<unknown> {
  const aborted = new Observable<never>(subscriber => {
    const onAbort = () => {
      // guards: observable.untilAborted
      if (!(signal.reason instanceof ClosedError)) subscriber.error(signal.reason);
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort);
    return () => signal.removeEventListener('abort', onAbort);
  });
  return defaultIfEmpty(undefined)(takeUntil(aborted)(stream));
}
