/**
 * Observables that handlers return. A job waits for the last value, as a request does in Nest.
 *
 * Owns: the meaning of an Observable as a result. Neighbours: `handler-method.ts` calls methods, `nest/handlers/cqrs-bridge.ts` buses.
 */
import { defaultIfEmpty, isObservable, lastValueFrom, Observable, takeUntil } from 'rxjs';
import { ClosedError } from '../../core/model/errors.js';
import type { EntityContext } from '../../core/model/job.js';

/**
 * The result of a handler. An Observable becomes its last value, or undefined if it is empty. When the signal of the run aborts, the
 * Observable is unsubscribed, and the reason of the signal is thrown.
 *
 * A shutdown does not unsubscribe it. That would fail the job, which must run again elsewhere, and would let the next one start while the
 * source of the Observable still runs (race 12).
 */
export async function lastValue(result: unknown, context: Pick<EntityContext, 'signal'>): Promise<unknown> {
  const value = await result;
  return isStream(value) ? lastValueFrom(untilAborted(value, context)) : value;
}

/** Like {@link lastValue}, but an Observable stays one: Nest's interceptors see each value. */
export async function stoppable(result: unknown, context: Pick<EntityContext, 'signal'>): Promise<unknown> {
  const value = await result;
  return isStream(value) ? untilAborted(value, context) : value;
}

/** A result may be a proxy that throws when it is inspected. It counts as no Observable. */
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
