/**
 * Intake on Redis: one job, several in one step, or a flow.
 * Neighbours: `lua/intake.lua` and `lua/flow.lua` say what each step does; `job-reader.ts` reads the jobs and the claim that a
 * response may bring; `bullmq/encode.ts` has BullMQ encode the options.
 */

import { entityKey } from '../../core/model/entity.js';
import { writeEnvelope } from '../../core/model/envelope.js';
import { InvalidOptionError, rejecting, rejectingEach } from '../../core/model/errors.js';
import type { NewJob } from '../../core/model/job.js';
import { BacklogFullError, idIsTaken, StoreRefusedError } from '../../core/model/store-errors.js';
import type { FlowJob, Intake, IntakeHint, IntakeResult, NewFlow } from '../../core/ports/intake.js';
import type { EncodedAdd } from './bullmq/encode.js';
import { refusalOf } from './connection/outcome.js';
import type { StoreContext } from './context.js';
import { sharedQueue } from './decode.js';
import type { JobEnds } from './job-end.js';
import type { JobReader } from './job-reader.js';
import { encode, type WireAdd, type WireFlowJob } from './lua/generated-wire.js';

export interface IntakeParts {
  readonly reader: JobReader;
  readonly ends: JobEnds;
}

/** Maximum number of jobs of a bulk that is added in one step: each costs Redis some 30 µs (I11). */
const MAX_IN_ONE_STEP = 2000;

/** Maximum length of a reason in a log line. */
const MAX_WHY = 300;

export class RedisIntake implements Intake {
  constructor(
    private readonly context: StoreContext,
    private readonly parts: IntakeParts,
  ) {}

  add(job: NewJob, hint: IntakeHint): Promise<IntakeResult> {
    return rejecting(() => {
      const args = encode.add(this.addOf(job, hint, this.encoded(job)));
      return this.context.channel.call('add', args, response => this.read(response, job, hint));
    });
  }

  addAll(jobs: readonly (readonly [NewJob, IntakeHint])[]): readonly Promise<IntakeResult>[] {
    return rejectingEach(jobs.length, () => this.sendAll(jobs));
  }

  addFlow(flow: NewFlow): readonly Promise<IntakeResult>[] {
    return rejectingEach(flow.jobs.length, () => this.sendFlow(flow));
  }

  private sendAll(jobs: readonly (readonly [NewJob, IntakeHint])[]): readonly Promise<IntakeResult>[] {
    if (jobs.length > MAX_IN_ONE_STEP) {
      throw new InvalidOptionError(
        `A bulk of ${jobs.length} jobs can't be added in one step, as maxPending asks for; give at most ${MAX_IN_ONE_STEP}. Nothing was added; split it.`,
      );
    }
    const args = encode.addAll(jobs.map(([job, hint]) => this.addOf(job, hint, this.encoded(job))));
    return this.together('addAll', args, jobs.length, responses => {
      if (responses[0] === 'FULL') throw this.full(jobs[Number(responses[1]) - 1]?.[0]);
      return jobs.map(
        ([job, hint], index) =>
          () =>
            this.readOne(responses[index], job, hint),
      );
    });
  }

  private sendFlow({ id, jobs }: NewFlow): readonly Promise<IntakeResult>[] {
    const args = encode.addFlow(jobs.map(one => this.flowJobOf(id, one)));
    return this.together('addFlow', args, jobs.length, responses => {
      const [what, detail] = responses;
      if (what === 'KNOWN')
        return jobs.map(({ path }) => () => ({ jobId: `${detail}${path}`, route: 'remote' }));
      if (typeof what === 'string') throw this.obstacle(what, jobs[Number(detail) - 1], responses[2]);
      return jobs.map(
        ({ job, hint }, index) =>
          () =>
            this.readOne(responses[index], job, hint),
      );
    });
  }

  /**
   * Jobs that are added in one step, each with a response of its own.
   * @param read reads the response of the step. What it throws rejects all of them.
   */
  private together(
    op: string,
    args: readonly (string | number)[],
    count: number,
    read: (responses: readonly unknown[]) => readonly (() => IntakeResult)[],
  ): readonly Promise<IntakeResult>[] {
    const pending: { resolve(entered: IntakeResult): void; reject(error: Error): void }[] = [];
    const promises = Array.from(
      { length: count },
      () => new Promise<IntakeResult>((resolve, reject) => pending.push({ resolve, reject })),
    );
    // Each is settled here, not by a later promise: responses keep the order of the calls.
    const settle = (responses: readonly unknown[]) => {
      for (const [index, readOne] of read(responses).entries()) {
        try {
          pending[index]?.resolve(readOne());
        } catch (error) {
          pending[index]?.reject(error as Error);
        }
      }
    };
    this.context.channel.call(op, args, settle).catch((error: Error) => {
      for (const { reject } of pending) reject(error);
    });
    return promises;
  }

  private encoded(job: NewJob): EncodedAdd {
    return this.context.bull.encodeAdd(job, this.context.keySpace.of(job.entity));
  }

  private flowJobOf(id: string, { job, hint, path, parent, isParent }: FlowJob): WireFlowJob {
    const add = this.encoded(job);
    const own: EncodedAdd = { ...add, customId: `${id}${path}`, kind: isParent ? 'parent' : add.kind };
    return { parentNumber: parent === undefined ? 0 : parent + 1, ...this.addOf(job, hint, own) };
  }

  private addOf(job: NewJob, hint: IntakeHint, { kind, timestamp, options, customId, dedupKey }: EncodedAdd): WireAdd {
    const { keySpace, config } = this.context;
    const { base, type: T, id } = keySpace.of(job.entity);
    const type = config.entityType(job.entity.type);
    const isHinted = hint !== 'route-only';
    return {
      base,
      type: T,
      id,
      kind,
      name: job.name,
      timestamp,
      data: job.data,
      opts: options,
      customId,
      dedupKey,
      maxPending: type.maxPending ?? '',
      epoch: isHinted ? hint.epoch : '',
      mayClaim: isHinted && hint.mayClaim ? 1 : 0,
      takeOpts: this.parts.ends.takeOptions(job.entity),
      maxStalled: type.maxStalledCount,
      handlers: type.maxHandlers,
      maxActive: isHinted ? hint.atOnce : 0,
      envelope: writeEnvelope(job.envelope),
    };
  }

  private readOne(response: unknown, job: NewJob, hint: IntakeHint): IntakeResult {
    if (Array.isArray(response)) return this.read(response, job, hint);
    throw refusalOf('a job of a bulk', response);
  }

  private read(response: readonly unknown[], { entity }: NewJob, hint: IntakeHint): IntakeResult {
    const { log, keySpace } = this.context;
    const jobId = String(response[1]);
    const epoch = hint === 'route-only' ? 0 : hint.epoch;
    switch (response[0]) {
      case 'LOCAL':
        // The worker that gave the epoch knows its token; a job needs the epoch only to be guarded.
        return orUnknown(jobId, () => {
          const fetched = this.parts.reader.taken(response, 2, { entity, token: '', epoch });
          return { jobId, route: 'local', fetched };
        });
      case 'CLAIMED':
        return orUnknown(jobId, () => {
          return { jobId, route: 'claimed', claimed: this.parts.reader.claimed(response, 2, entity, epoch) };
        });
      case 'UNKNOWN':
        if (response[2] !== undefined) {
          const why = `routing it failed: ${String(response[2]).slice(0, MAX_WHY)}`;
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
    if (what === 'SHARED') return sharedQueue(this.context.keySpace.of(entity).base, entity, detail);
    return new InvalidOptionError(
      `BullMQ refused job "${name}" of ${entityKey(entity)} (code ${detail}); nothing of its flow was added. Check its options.`,
    );
  }

  private full(job: Pick<NewJob, 'entity'> | undefined): Error {
    if (!job) return new StoreRefusedError('An entity of the bulk is full; nothing was added.');
    return new BacklogFullError(job.entity, this.context.config.entityType(job.entity.type).maxPending ?? 0);
  }
}

/** The job is added by now: a fault in what came with it concerns the worker, so the caller is told of the job all the same. */
function orUnknown(jobId: string, read: () => IntakeResult): IntakeResult {
  try {
    return read();
  } catch (error) {
    return {
      jobId,
      route: 'unknown-claim',
      why: `the response to its enqueue can't be read (${(error as Error).name})`,
    };
  }
}
