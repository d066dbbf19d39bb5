/**
 * A client for BullMQ that records instead of executing. So BullMQ itself builds the arguments of each script, and shows which keys
 * the script gets, in which order. Neighbour: `encode.ts` asks for them.
 */

import { EventEmitter } from 'node:events';
import type { RedisQueueBackend } from 'bullmq';
import { UnsupportedError } from '../../../core/model/errors.js';
import { type BullBodies, JOB_ID } from '../lua/compose.js';

export const QUEUE = { name: 'queue', prefix: 'recorder' };

export const BASE = `${QUEUE.prefix}:${QUEUE.name}:`;

/** The response of a fetch without jobs. BullMQ needs no other while it is recorded. */
const NOTHING = [0, 0, 0, 0];

/** The parts of a Redis client that BullMQ uses. */
export class RecordingClient extends EventEmitter {
  readonly status = 'ready';
  readonly isCluster = false;
  readonly options = {};
  readonly scripts = new Map<string, { numberOfKeys: number; lua: string }>();
  last: { name: string; keys: string[]; args: unknown[] } | undefined;

  defineCommand(name: string, script: { numberOfKeys: number; lua: string }): void {
    this.scripts.set(withoutVersion(name), script);
  }

  runCommand(name: string, all: unknown[]): unknown {
    const script = withoutVersion(name);
    const numberOfKeys = this.scripts.get(script)?.numberOfKeys ?? 0;
    this.last = { name: script, keys: all.slice(0, numberOfKeys).map(String), args: all.slice(numberOfKeys) };
    return NOTHING;
  }

  /** @throws UnsupportedError if BullMQ has not run `name`. */
  recorded(name: string): { keys: string[]; args: unknown[] } {
    if (this.last?.name !== name) throw unsupported(`it ran ${this.last?.name ?? 'nothing'} instead of ${name}`);
    return this.last;
  }

  connect(): void {}
  disconnect(): void {}
  duplicate(): this {
    return this;
  }
  pipeline(): this {
    return this;
  }
  multi(): this {
    return this;
  }
  scanStream(): void {}
}

/** Lets BullMQ run each script once, and records which keys it gives, in which order. */
export async function recordKeyNames(
  client: RecordingClient,
  backend: RedisQueueBackend,
): Promise<BullBodies['keyNames']> {
  const id = 'some-job';
  const json = { id, name: 'n', data: '{}', opts: {}, timestamp: 1 };
  const names = (script: string) =>
    client.recorded(script).keys.map(key => {
      if (!key.startsWith(BASE)) throw unsupported(`${script} has a key outside of its queue`);
      const name = key.slice(BASE.length);
      return name === id ? JOB_ID : name;
    });
  await backend.addJobToTransaction(client as never, json as never, id);
  const addStandardJob = names('addStandardJob');
  await backend.addJobToTransaction(client as never, { ...json, opts: { delay: 1 } } as never, id);
  const addDelayedJob = names('addDelayedJob');
  await backend.addJobToTransaction(client as never, { ...json, opts: { priority: 1 } } as never, id);
  const addPrioritizedJob = names('addPrioritizedJob');
  await backend.addJobToTransaction(client as never, json as never, id, { addToWaitingChildren: true });
  const addParentJob = names('addParentJob');
  await backend.moveToActive('token', 'name');
  const moveToActive = names('moveToActive');
  await backend.moveToFinished(id, backend.moveToCompletedArgs({ id, opts: {} } as never, 'null', true, 'token'));
  const completed = names('moveToFinished');
  await backend.moveToFinished(id, backend.moveToFailedArgs({ id, opts: {} } as never, 'why', true, 'token'));
  const failed = names('moveToFinished');
  // Only the names of the keys matter here, not that BullMQ rejects the recorder's response.
  await backend.retryJob(id, false, 'token');
  const retryJob = names('retryJob');
  await backend.moveToDelayed(id, 1, 1, 'token');
  const moveToDelayed = names('moveToDelayed');
  await backend.pause(true);
  const pause = names('pause');
  await backend.pause(false);
  const resume = names('pause');
  await backend.addJobScheduler('s', 1, '{}', {}, { name: 'n' }, {});
  // The body looks for waiting jobs of a paused queue in the list of older versions.
  // guards: recorder.recordKeyNames
  const addJobScheduler = names('addJobScheduler').map(name => (name === 'paused' ? 'wait' : name));
  await backend.updateJobSchedulerNextMillis('s', 1, '{}', {}, id);
  const updateJobScheduler = names('updateJobScheduler');
  await backend.removeJobScheduler('s');
  const removeJobScheduler = names('removeJobScheduler');
  return {
    addStandardJob,
    addDelayedJob,
    addPrioritizedJob,
    addParentJob,
    moveToActive,
    completed,
    failed,
    retryJob,
    moveToDelayed,
    pause,
    resume,
    addJobScheduler,
    updateJobScheduler,
    removeJobScheduler,
  };
}

function withoutVersion(command: string): string {
  return command.split(':', 1)[0] ?? command;
}

export function unsupported(what: string): UnsupportedError {
  return new UnsupportedError(
    `The installed bullmq is not one that atomic-queues can build on: ${what}. Install bullmq ^6.7.`,
  );
}
