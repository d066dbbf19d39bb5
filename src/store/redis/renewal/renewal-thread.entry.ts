/**
 * The thread for renewals: what it is told goes to the lease keeper, and what became of a renewal goes back.
 * Neighbours: `renewal-thread.ts` starts it, and is the other end of its wire; `lease-keeper.ts` decides.
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
    const answer = (answered: Omit<FromThread, 'id'>) => parentPort?.postMessage({ id: message.id, ...answered });
    keeper.renew(message.renewals, message.pod).then(
      renewed => answer({ renewed }),
      error => answer({ error: messageOf(error) }),
    );
  }
});
