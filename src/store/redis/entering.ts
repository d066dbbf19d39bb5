/**
 * Jobs on their way in, on Redis: one add, or many in one step.
 * Neighbours: `scripts/enter.lua.ts` says what is done; `redis-store.ts` reads what comes with a claim, or with a fetch.
 */
import { type EntityRef, entityWord } from '../../core/entity.js';
import { writeEnvelope } from '../../core/envelope.js';
import { BacklogFullError, InvalidOptionError, StoreRefusedError } from '../../core/errors.js';
import type { EngineConfig } from '../../core/options.js';
import type { Claim, Claimed, Entered, EnterHint, Fetched, Log, NewJob } from '../../core/ports.js';
import type { Bull } from './bullmq.js';
import type { Channel } from './channel.js';
import type { KeySpace } from './keys.js';
import { sharedQueue } from './replies.js';

export interface EnteringParts {
  readonly keySpace: KeySpace;
  readonly config: EngineConfig;
  readonly log: Log;
  ready(): { readonly bull: Bull; readonly channel: Channel };
  takeOptions(entity: EntityRef): string;
  /** Reads `roused, againInMs, jobs…` from a position on. */
  readTaken(answer: readonly unknown[], at: number, claim: Claim): Fetched;
  /** Reads `token, recovered, foreign, againInMs, jobs…`. */
  readClaimed(answer: readonly unknown[], at: number, entity: EntityRef, epoch: number): Claimed;
}

/** Each of a bulk that is added in one step is one value on Lua's stack, which has room for 8,000. */
const MOST_IN_ONE_STEP = 5000;

export class Entering {
  constructor(private readonly parts: EnteringParts) {}

  enter(job: NewJob, hint: EnterHint): Promise<Entered> {
    return this.parts.ready().channel.call('enter', this.arguments(job, hint), answer => this.read(answer, job, hint));
  }

  enterAll(jobs: readonly (readonly [NewJob, EnterHint])[]): readonly Promise<Entered>[] {
    if (jobs.length > MOST_IN_ONE_STEP) {
      throw new InvalidOptionError(
        `A bulk of ${jobs.length} jobs can't be added in one step, as maxPending asks for; give at most ${MOST_IN_ONE_STEP}.`,
      );
    }
    const args = jobs.map(([job, hint]) =>
      JSON.stringify(this.arguments(job, hint).map(value => String(value).toWellFormed())),
    );
    const owed: { resolve(entered: Entered): void; reject(error: Error): void }[] = [];
    const promises = jobs.map(() => new Promise<Entered>((resolve, reject) => owed.push({ resolve, reject })));
    // Each is settled here, at once, and not by a promise of its own: answers keep the order of the calls.
    const read = (answers: readonly unknown[]) => {
      if (answers[0] === 'FULL') throw this.full(jobs[Number(answers[1]) - 1]?.[0]);
      for (const [index, [job, hint]] of jobs.entries()) {
        try {
          owed[index]?.resolve(this.readOne(answers[index], job, hint));
        } catch (error) {
          owed[index]?.reject(error as Error);
        }
      }
    };
    this.parts
      .ready()
      .channel.call('enterAll', args, read)
      .catch((error: Error) => {
        for (const { reject } of owed) reject(error);
      });
    return promises;
  }

  private arguments(job: NewJob, hint: EnterHint): (string | number)[] {
    const { keySpace, config, takeOptions } = this.parts;
    const keys = keySpace.of(job.entity);
    const type = config.entityType(job.entity.type);
    const add = this.parts.ready().bull.encodeAdd(job, keys);
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

  private readOne(answer: unknown, job: NewJob, hint: EnterHint): Entered {
    if (Array.isArray(answer)) return this.read(answer, job, hint);
    throw new StoreRefusedError(`Redis refused a job of a bulk: ${(answer as { err: string }).err}`);
  }

  private read(answer: readonly unknown[], { entity }: NewJob, hint: EnterHint): Entered {
    const { log, keySpace } = this.parts;
    const jobId = String(answer[1]);
    const epoch = hint === 'route-only' ? 0 : hint.epoch;
    switch (answer[0]) {
      case 'MINE':
        // The worker that gave the epoch knows its token; a job needs the epoch only to be guarded.
        return { jobId, route: 'mine', fetched: this.parts.readTaken(answer, 2, { entity, token: '', epoch }) };
      case 'CLAIMED':
        return { jobId, route: 'claimed', claimed: this.parts.readClaimed(answer, 2, entity, epoch) };
      case 'UNKNOWN':
        if (answer[2] !== undefined) {
          log.warn(`Job ${jobId} of ${entityWord(entity)} was added; routing it failed: ${answer[2]}`);
        }
        return { jobId, route: 'unknown-claim' };
      case 'SHARED':
        throw sharedQueue(keySpace.of(entity).base, entity, jobId);
      case 'FULL':
        throw this.full({ entity });
      case 'ELSEWHERE':
        return { jobId, route: 'elsewhere' };
      case 'DELAYED':
        return { jobId, route: 'delayed' };
      case 'NOBODY':
        return { jobId, route: 'nobody' };
      default:
        throw new InvalidOptionError(`BullMQ refused the job (code ${jobId}); check its options.`);
    }
  }

  private full(job: Pick<NewJob, 'entity'> | undefined): Error {
    if (!job) return new StoreRefusedError('An entity of the bulk is full; nothing was added.');
    return new BacklogFullError(job.entity, this.parts.config.entityType(job.entity.type).maxPending ?? 0);
  }
}
