/**
 * Which options hold for a job: its own, over those of its type.
 * Neighbours: `resolve.ts` merges the defaults of the module into those of a type; `job-options.ts` checks all of them.
 */
import type { JobOptions } from '../model/job.js';

/** Without own options, all jobs of a type share one object, which is encoded only once. */
export function mergedJobOptions(type: { readonly jobOptions: JobOptions }, own: JobOptions | undefined): JobOptions {
  return own ? { ...type.jobOptions, ...own } : type.jobOptions;
}
