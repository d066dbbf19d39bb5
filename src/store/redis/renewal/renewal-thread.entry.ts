/**
 * The entry of the renewal thread: messages go to the lease keeper, and the outcome of each renewal goes back.
 * Neighbours: `renewal-thread.ts` starts it, and sends the messages; `lease-keeper.ts` decides.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../../core/model/errors.js';
import type { Clock } from '../../../core/ports/clock.js';
import { clearTimeout, monotonicMs, setTimeout, wallMs } from '../../../core/ports/own-timers.js';
import { LeaseKeeper } from './lease-keeper.js';
import { RenewalConnection } from './renewal-connection.js';
import type { FromThread, ThreadOptions, ToThread } from './renewal-thread.js';

const clock: Clock = {
  monotonicMs,
  wallMs,
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};

const options = workerData as ThreadOptions;
const keeper = new LeaseKeeper({ ...options, renewer: new RenewalConnection(options, clock), clock });

parentPort?.on('message', (message: ToThread) => {
  if (message.kind === 'granted') keeper.granted(message.renewals);
  else if (message.kind === 'forget') keeper.forget();
  else {
    const respond = (outcome: Omit<FromThread, 'id'>) => parentPort?.postMessage({ id: message.id, ...outcome });
    keeper.renew(message.renewals, message.pod).then(
      renewed => respond({ renewed }),
      error => respond({ error: messageOf(error) }),
    );
  }
});
