/**
 * Jobs on their way in, on Redis: one add, or many in one step.
 * Neighbours: `lua/intake.lua` says what is done; `redis-store.ts` reads what comes with a claim, or with a fetch.
 */

import type { Claim } from '../../core/model/claim.js';
import { type EntityRef, entityKey } from '../../core/model/entity.js';
import { writeEnvelope } from '../../core/model/envelope.js';
import { InvalidOptionError } from '../../core/model/errors.js';
import type { NewJob } from '../../core/model/job.js';
import { BacklogFullError, idIsTaken, StoreRefusedError } from '../../core/model/store-errors.js';
import type { EngineConfig } from '../../core/options/config.js';
import type { Claimed } from '../../core/ports/claims.js';
import type { FlowJob, IntakeHint, IntakeResult, NewFlow } from '../../core/ports/intake.js';
import type { Log } from '../../core/ports/log.js';
import type { Fetched } from '../../core/ports/work.js';
import type { Bull, EncodedAdd } from './bullmq/encode.js';
import { type Channel } from './connection/channel.js';
import { refusalOf } from './connection/outcome.js';
import { sharedQueue } from './decode.js';
import type { KeySpace } from './keys.js';

export interface RedisIntakeParts {
  readonly keySpace: KeySpace;
  readonly config: EngineConfig;
  readonly log: Log;
  ready(): { readonly bull: Bull; readonly channel: Channel };
  takeOptions(entity: EntityRef): string;
  /** Reads `reactivated, againInMs, jobs…` from a position on. */
  readTaken(answer: readonly unknown[], at: number, claim: Claim): Fetched;
  /** Reads `token, recovered, foreign, againInMs, jobs…`. */
  readClaimed(answer: readonly unknown[], at: number, entity: EntityRef, epoch: number): Claimed;
}

/** Jobs of a bulk that is added in one step: each costs Redis some 30 µs (I11). */
const MAX_IN_ONE_STEP = 2000;

const MAX_WHY = 300;

export class RedisIntake {
  constructor(private readonly parts: RedisIntakeParts) {}

  add(job: NewJob, hint: IntakeHint): Promise<IntakeResult> {
    const args = this.arguments(job, hint, this.encoded(job));
    return this.parts.ready().channel.call('add', args, answer => this.read(answer, job, hint));
  }

  addAll(jobs: readonly (readonly [NewJob, IntakeHint])[]): readonly Promise<IntakeResult>[] {
    if (jobs.length > MAX_IN_ONE_STEP) {
      throw new InvalidOptionError(
        `A bulk of ${jobs.length} jobs can't be added in one step, as maxPending asks for; give at most ${MAX_IN_ONE_STEP}. Nothing was added; split it.`,
      );
    }
    const args = jobs.flatMap(([job, hint]) => this.arguments(job, hint, this.encoded(job)));
    return this.together('addAll', args, jobs.length, answers => {
      if (answers[0] === 'FULL') throw this.full(jobs[Number(answers[1]) - 1]?.[0]);
      return jobs.map(
        ([job, hint], index) =>
          () =>
            this.readOne(answers[index], job, hint),
      );
    });
  }

  addFlow({ id, jobs }: NewFlow): readonly Promise<IntakeResult>[] {
    const args = jobs.flatMap(one => this.flowArguments(id, one));
    return this.together('addFlow', args, jobs.length, answers => {
      const [what, detail] = answers;
      if (what === 'KNOWN')
        return jobs.map(({ path }) => () => ({ jobId: `${detail}${path}`, route: 'remote' }));
      if (typeof what === 'string') throw this.obstacle(what, jobs[Number(detail) - 1], answers[2]);
      return jobs.map(
        ({ job, hint }, index) =>
          () =>
            this.readOne(answers[index], job, hint),
      );
    });
  }

  /**
   * Jobs that are added in one step, each with an answer of its own.
   * @param read of the answer to the step; may throw what all reject with.
   */
  private together(
    op: string,
    args: readonly (string | number)[],
    count: number,
    read: (answers: readonly unknown[]) => readonly (() => IntakeResult)[],
  ): readonly Promise<IntakeResult>[] {
    const owed: { resolve(entered: IntakeResult): void; reject(error: Error): void }[] = [];
    const promises = Array.from(
      { length: count },
      () => new Promise<IntakeResult>((resolve, reject) => owed.push({ resolve, reject })),
    );
    // Each is settled here, at once, and not by a promise of its own: answers keep the order of the calls.
    const settle = (answers: readonly unknown[]) => {
      for (const [index, readOne] of read(answers).entries()) {
        try {
          owed[index]?.resolve(readOne());
        } catch (error) {
          owed[index]?.reject(error as Error);
        }
      }
    };
    this.parts
      .ready()
      .channel.call(op, args, settle)
      .catch((error: Error) => {
        for (const { reject } of owed) reject(error);
      });
    return promises;
  }

  private encoded(job: NewJob): EncodedAdd {
    return this.parts.ready().bull.encodeAdd(job, this.parts.keySpace.of(job.entity));
  }

  private flowArguments(id: string, { job, hint, path, parent, isParent }: FlowJob): (string | number)[] {
    const add = this.encoded(job);
    const own: EncodedAdd = { ...add, customId: `${id}${path}`, kind: isParent ? 'parent' : add.kind };
    return [parent === undefined ? 0 : parent + 1, ...this.arguments(job, hint, own)];
  }

  private arguments(job: NewJob, hint: IntakeHint, add: EncodedAdd): (string | number)[] {
    const { keySpace, config, takeOptions } = this.parts;
    const keys = keySpace.of(job.entity);
    const type = config.entityType(job.entity.type);
    const isHinted = hint !== 'route-only';
    return [
      keys.base,
      keys.type,
      keys.id,
      add.kind,
      job.name,
      add.timestamp,
      job.data,
      add.options,
      add.customId,
      add.dedupKey,
      type.maxPending ?? '',
      isHinted ? hint.epoch : '',
      isHinted && hint.mayClaim ? '1' : '0',
      takeOptions(job.entity),
      type.maxStalledCount,
      type.maxHandlers,
      isHinted ? hint.atOnce : 0,
      writeEnvelope(job.envelope),
    ];
  }

  private readOne(answer: unknown, job: NewJob, hint: IntakeHint): IntakeResult {
    if (Array.isArray(answer)) return this.read(answer, job, hint);
    throw refusalOf('a job of a bulk', answer);
  }

  private read(answer: readonly unknown[], { entity }: NewJob, hint: IntakeHint): IntakeResult {
    const { log, keySpace } = this.parts;
    const jobId = String(answer[1]);
    const epoch = hint === 'route-only' ? 0 : hint.epoch;
    switch (answer[0]) {
      case 'LOCAL':
        // The worker that gave the epoch knows its token; a job needs the epoch only to be guarded.
        return orUnknown(jobId, () => {
          const fetched = this.parts.readTaken(answer, 2, { entity, token: '', epoch });
          return { jobId, route: 'local', fetched };
        });
      case 'CLAIMED':
        return orUnknown(jobId, () => {
          return { jobId, route: 'claimed', claimed: this.parts.readClaimed(answer, 2, entity, epoch) };
        });
      case 'UNKNOWN':
        if (answer[2] !== undefined) {
          const why = `routing it failed: ${String(answer[2]).slice(0, MAX_WHY)}`;
          log.warn(`Job ${jobId} of ${entityKey(entity)} was added; ${why}`);
          return { jobId, route: 'unknown-claim', why };
        }
        return { jobId, route: 'unknown-claim' };
      case 'SHARED':
        throw sharedQueue(keySpace.of(entity).base, entity, jobId);
      case 'FULL':
        throw this.full({ entity });
      case 'REMOTE':
        return { jobId, route: 'remote' };
      case 'DELAYED':
        return { jobId, route: 'delayed' };
      case 'PARENT':
        return { jobId, route: 'parent' };
      case 'UNOWNED':
        return { jobId, route: 'unowned' };
      default:
        throw new InvalidOptionError(`BullMQ refused the job (code ${jobId}); check its options.`);
    }
  }

  /** Why nothing of a flow was added. */
  private obstacle(what: string, one: FlowJob | undefined, detail: unknown): Error {
    if (!one || what === 'FULL') return this.full(one?.job);
    const { entity, name } = one.job;
    if (what === 'TAKEN') return idIsTaken(one.job);
    if (what === 'SHARED') return sharedQueue(this.parts.keySpace.of(entity).base, entity, detail);
    return new InvalidOptionError(
      `BullMQ refused job "${name}" of ${entityKey(entity)} (code ${detail}); nothing of its flow was added. Check its options.`,
    );
  }

  private full(job: Pick<NewJob, 'entity'> | undefined): Error {
    if (!job) return new StoreRefusedError('An entity of the bulk is full; nothing was added.');
    return new BacklogFullError(job.entity, this.parts.config.entityType(job.entity.type).maxPending ?? 0);
  }
}

/** The job is added by now: what came with it is its worker's matter, and no reason to tell its caller otherwise. */
function orUnknown(jobId: string, read: () => IntakeResult): IntakeResult {
  try {
    return read();
  } catch (error) {
    return { jobId, route: 'unknown-claim', why: `the answer to its enqueue can't be read (${(error as Error).name})` };
  }
}
