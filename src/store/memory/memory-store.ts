/**
 * The store in memory: one pod's view of a {@link MemoryServer}. The same port and the same contract as Redis, for tests
 * without a server. Every step takes effect when it is called, and responses come in the order of the calls.
 *
 * Owns: nothing but the assembly; each role has a file of its own. Neighbours: `server.ts` has what all pods share;
 * `../assembled-store.ts` says which role has which method of the port.
 */
import { type EntityRef, entityKey } from '../../core/model/entity.js';
import type { EngineConfig } from '../../core/options/config.js';
import { AssembledStore, type StoreRoles } from '../assembled-store.js';
import { MemoryClaims } from './claims.js';
import { Fetch } from './fetch.js';
import { MemoryHosts } from './hosts.js';
import { MemoryIntake } from './intake.js';
import { JobEnds } from './job-end.js';
import { NewJobs } from './new-jobs.js';
import { MemoryControl } from './operator/control.js';
import { MemoryDeadLetters } from './operator/dead-letters.js';
import { MemorySchedules } from './operator/schedules.js';
import { MemoryReplies } from './replies.js';
import type { MemoryServer } from './server.js';
import { MemoryWakeUps } from './wake-ups.js';
import { MemoryWork } from './work.js';

interface MemoryRoles extends StoreRoles {
  readonly wakeUps: MemoryWakeUps;
  readonly replies: MemoryReplies;
}

function createRoles(server: MemoryServer, config: EngineConfig, podId: string): MemoryRoles {
  const { codecs } = config;
  const newJobs = new NewJobs(server, config);
  const deadLetters = new MemoryDeadLetters(server, podId, { newJobs, codecs });
  const schedules = new MemorySchedules(server, podId, { newJobs, codecs });
  const replies = new MemoryReplies(server, podId);
  const fetch = new Fetch(server, { config, podId });
  const ends = new JobEnds(server, { config, deadLetters, schedules, replies });
  const claims = new MemoryClaims(server, { config, podId, fetch, ends });
  return {
    intake: new MemoryIntake(server, { config, podId, newJobs, claims, fetch }),
    claims,
    work: new MemoryWork(server, { config, podId, fetch, ends }),
    wakeUps: new MemoryWakeUps(server, podId),
    control: new MemoryControl(server, podId, codecs),
    deadLetters,
    schedules,
    replies,
    hosts: new MemoryHosts(server),
  };
}

export class MemoryEntityStore extends AssembledStore {
  private readonly roles: MemoryRoles;

  constructor(server: MemoryServer, config: EngineConfig, podId: string) {
    const roles = createRoles(server, config, podId);
    super(roles);
    this.roles = roles;
  }

  async start(): Promise<void> {}

  queueName(entity: EntityRef): string {
    return `memory:${entityKey(entity)}:queue`;
  }

  /** Memory always answers. */
  isSilentFor(): boolean {
    return false;
  }

  /** Memory keeps no process alive. */
  linger(): void {}

  async close(): Promise<void> {
    this.roles.wakeUps.close();
    this.roles.replies.close();
  }
}
