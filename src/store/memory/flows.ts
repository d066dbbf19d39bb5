/** New flows in memory. Neighbours: `removal.ts` tells parents of their children, `intake.ts` routes the jobs that wait for no child. */
import { idIsTaken } from '../../core/model/store-errors.js';
import type { NewFlow } from '../../core/ports/intake.js';
import type { NewJobs, TakenIn } from './new-jobs.js';
import { jobsOf, put } from './queue.js';
import type { MemoryServer } from './server.js';
import type { ParentOf, StoredJob } from './state.js';

export class MemoryFlows {
  constructor(
    private readonly server: MemoryServer,
    private readonly newJobs: NewJobs,
  ) {}

  /**
   * The id under which the root was added before: nothing is added then.
   * @throws InvalidOptionError if a job that is no flow has that id.
   */
  knownId({ jobs: [root] }: NewFlow): string | undefined {
    if (!root) return undefined;
    const entity = this.server.find(root.job.entity);
    const id = this.newJobs.knownId(root.job, entity);
    const job = entity && jobsOf(entity).find(job => job.id === id);
    if (root.isParent && job && !job.children) throw idIsTaken(root.job);
    return id;
  }

  /** @throws BacklogFullError, InvalidOptionError: nothing has been added then. */
  takeIn({ id, jobs }: NewFlow): readonly TakenIn[] {
    this.newJobs.checkCapacity(jobs.map(({ job }) => job));
    for (const { job, path } of jobs) {
      const entity = this.server.find(job.entity);
      if (entity && jobsOf(entity).some(other => other.id === `${id}${path}`)) throw idIsTaken(job);
    }
    const stored: StoredJob[] = [];
    const parentAt = (at = -1): ParentOf | undefined => {
      const [asked, made] = [jobs[at], stored[at]];
      return asked && made && { ref: asked.job.entity, job: made };
    };
    return jobs.map(({ job, path, parent: at, isParent }) => {
      const jobId = `${id}${path}`;
      const parent = parentAt(at);
      const made = {
        ...this.newJobs.stored(jobId, job),
        ...(parent && { parent }),
        ...(isParent && { children: new Map() }),
      };
      parent?.job.children?.set(jobId, undefined);
      stored.push(made);
      this.server.deduplications.remember(job.entity, job.options, jobId);
      const entity = this.server.entity(job.entity);
      if (isParent) entity.parents.push(made);
      else put(entity, made, this.server.now());
      return { entity, jobId, delayMs: Number(job.options['delay'] ?? 0) };
    });
  }
}
