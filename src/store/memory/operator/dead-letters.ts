/** Dead letters in memory. Neighbour: `../job-end.ts` moves jobs here. */
import type { Envelope } from '../../../core/model/envelope.js';
import { type FailureText, latestStacks } from '../../../core/model/error-text.js';
import { UnsupportedError } from '../../../core/model/errors.js';
import type { JobOptions } from '../../../core/model/job.js';
import type { Codecs } from '../../../core/payload/codec.js';
import { showPayload } from '../../../core/payload/payload.js';
import type { DeadLetter, DeadLetters } from '../../../core/ports/operator.js';
import { MAX_STACKS } from '../../../core/run/retry.js';
import type { NewJobs } from '../new-jobs.js';
import type { MemoryServer } from '../server.js';
import type { StoredEntity, StoredJob } from '../state.js';

interface StoredLetter extends DeadLetter {
  readonly json: string;
  readonly options: JobOptions;
  readonly envelope: Envelope;
  readonly results: StoredJob['children'];
}

export class MemoryDeadLetters implements DeadLetters {
  constructor(
    private readonly server: MemoryServer,
    private readonly podId: string,
    private readonly parts: { readonly newJobs: NewJobs; readonly codecs: Codecs },
  ) {}

  moveToDeadLetters({ ref }: StoredEntity, job: StoredJob, { reason, stack }: FailureText): void {
    const letter: StoredLetter = {
      letterId: this.server.nextId(),
      entityId: ref.id,
      jobId: job.id,
      name: job.name,
      data: JSON.parse(job.data),
      enqueuedAtMs: job.enqueuedAtMs,
      diedAtMs: this.server.clock.wallMs(),
      attemptsMade: job.attemptsMade + 1,
      failedReason: reason,
      stacks: latestStacks(job.stacks, stack, MAX_STACKS),
      json: job.data,
      options: job.options,
      envelope: job.envelope,
      results: job.children,
    };
    this.server.letters.set(ref.type, [...this.of(ref.type), letter]);
  }

  async list(type: string, from: number, limit: number): Promise<DeadLetter[]> {
    return this.of(type)
      .slice(from, from + limit)
      .map(({ json, options, envelope, results, ...letter }) => ({
        ...letter,
        data: showPayload(this.parts.codecs, envelope, letter.data),
      }));
  }

  async ids(type: string, after: string, limit: number): Promise<readonly string[]> {
    const later = this.of(type).filter(({ letterId }) => Number(letterId) > Number(after));
    return later.slice(0, limit).map(({ letterId }) => letterId);
  }

  async replay(type: string, letterId: string): Promise<string | undefined> {
    const letter = this.of(type).find(letter => letter.letterId === letterId);
    if (!letter) return undefined;
    await this.remove(type, letterId);
    const { name, json: data, envelope, results } = letter;
    const { jobId: _, delay: __, deduplication: ___, ...options } = letter.options;
    const entity = this.server.entity({ type, id: letter.entityId });
    const id = this.server.nextId();
    const job = this.parts.newJobs.stored(id, { name, data, options, envelope });
    entity.wait.push(results ? { ...job, children: results } : job);
    this.server.inspections.inspectNow(entity, this.podId);
    return id;
  }

  async remove(type: string, letterId: string): Promise<boolean> {
    const letters = this.of(type);
    const left = letters.filter(letter => letter.letterId !== letterId);
    if (left.length > 0) this.server.letters.set(type, left);
    else this.server.letters.delete(type);
    return left.length < letters.length;
  }

  locate(): never {
    throw new UnsupportedError('There is no BullMQ queue in memory.');
  }

  private of(type: string): readonly StoredLetter[] {
    return (this.server.letters.get(type) ?? []) as StoredLetter[];
  }
}
