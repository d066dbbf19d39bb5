/** BullMQ's deduplication of jobs in memory: which job is known under which key, and for how long. Neighbour: `new-jobs.ts` asks. */
import { type EntityRef, entityKey } from '../../core/model/entity.js';
import type { JobOptions } from '../../core/model/job.js';
import type { MemoryState } from './state.js';

export class Deduplications {
  private readonly known = new Map<string, { readonly jobId: string; readonly untilMs: number }>();

  constructor(private readonly state: MemoryState) {}

  /** The id of the job that is known under that deduplication; the job itself may be gone. */
  find(ref: EntityRef, options: JobOptions): string | undefined {
    if (options['deduplication'] === undefined) return undefined;
    const found = this.known.get(keyOf(ref, options));
    return found && found.untilMs > this.state.now() ? found.jobId : undefined;
  }

  remember(ref: EntityRef, options: JobOptions, jobId: string): void {
    const { id, ttl, extend } = (options['deduplication'] ?? {}) as { id?: string; ttl?: number; extend?: boolean };
    if (id === undefined) return;
    const now = this.state.now();
    const before = this.known.get(keyOf(ref, options));
    const isKept = before !== undefined && before.untilMs > now && ttl !== undefined && !extend;
    const newMs = ttl === undefined ? Number.POSITIVE_INFINITY : now + ttl;
    const untilMs = isKept ? before.untilMs : newMs;
    this.known.set(keyOf(ref, options), { jobId, untilMs });
    for (const [key, { untilMs }] of this.known) if (untilMs <= now) this.known.delete(key);
  }

  /** A job has ended: a deduplication without a `ttl` ends with it. */
  end(ref: EntityRef, options: JobOptions): void {
    const key = keyOf(ref, options);
    if (this.known.get(key)?.untilMs === Number.POSITIVE_INFINITY) this.known.delete(key);
  }

  /** A job was removed. */
  remove(ref: EntityRef, options: JobOptions): void {
    if (options['deduplication']) this.known.delete(keyOf(ref, options));
  }
}

function keyOf(ref: EntityRef, { deduplication }: JobOptions): string {
  return `${entityKey(ref)} ${(deduplication as { id?: string } | undefined)?.id}`;
}
