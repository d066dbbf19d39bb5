/**
 * Flows: jobs of several entities of which some, the parents, run after others, their children.
 * Owns what a flow may be, and the ids of its jobs; neighbour `enqueuer.ts` checks each job and sends them all in one step.
 */
import type { ChildRef } from '../model/envelope.js';
import { InvalidCommandError, InvalidOptionError } from '../model/errors.js';
import type { JobOptions, NewJob } from '../model/job.js';
import type { FlowJob } from '../ports/intake.js';

/**
 * What becomes of the parent of a job that fails for good, or is removed. `'failParent'`: once all its children have ended it
 * fails too, without running. `'tellParent'`: it runs, and sees in `children()` which has failed, and why.
 */
export type OnChildFailure = 'failParent' | 'tellParent';
const ON_FAILURE: readonly unknown[] = ['failParent', 'tellParent'] satisfies OnChildFailure[];

/** A flow as a user asks for it: a job, and those that must have ended before it. */
export interface FlowOf<Request> {
  readonly job: Request;
  readonly onFailure?: OnChildFailure | undefined;
  /** Read when its turn has come, so that a flow which contains itself ends at the bound. */
  children(): readonly FlowOf<Request>[];
}

/** What is asked for of each job of it. */
interface Asked {
  readonly name: string;
  readonly options?: JobOptions;
}

/** What there is of each job of a flow. */
export type Tree<Job> = Job & { readonly children: readonly Tree<Job>[] };

/** A flow of which the store is asked nothing yet. */
export interface FlowPlan {
  readonly id: string;
  readonly jobs: readonly PlannedJob[];
}

interface PlannedJob extends Omit<FlowJob, 'hint'> {
  readonly failsParent: boolean;
}

/** While they are added Redis does nothing else: a tenth of a second or so. */
const MAX_JOBS = 1000;

/**
 * @param check what a single job is checked by, and turned into what the store takes.
 * @throws what `check` throws; InvalidOptionError, InvalidCommandError for what no flow can be.
 */
export function planFlow<Request extends Asked>(root: FlowOf<Request>, check: (request: Request) => NewJob): FlowPlan {
  const jobs: PlannedJob[] = [];
  const visit = (request: FlowOf<Request>, path: string, parent: number | undefined): void => {
    if (jobs.length === MAX_JOBS) {
      throw new InvalidCommandError(
        `The flow of job "${root.job.name}" has more than ${MAX_JOBS} jobs; let a job of it enqueue a flow of its own.`,
      );
    }
    const children = request.children();
    const job = check(request.job);
    checkPlace(job, request, parent === undefined);
    const failsParent = request.onFailure !== 'tellParent';
    const at = jobs.push({ job, path, parent, isParent: children.length > 0, failsParent }) - 1;
    for (const [index, child] of children.entries()) visit(child, `${path}.${index}`, at);
  };
  visit(root, '', undefined);
  const id = (jobs[0]?.job.options['jobId'] as string | undefined) ?? crypto.randomUUID();
  return { id, jobs: jobs.map((one, at) => (one.isParent ? { ...one, job: withChildren(id, jobs, at) } : one)) };
}

/** The job at that position, which knows its children. */
function withChildren(id: string, jobs: FlowPlan['jobs'], at: number): NewJob {
  const own = jobs.filter(({ parent }) => parent === at);
  const children = own.map(({ job: { entity, name, envelope }, path, failsParent }): ChildRef => {
    const child = { ...entity, jobId: `${id}${path}`, name, failsParent };
    // guards: flow.withChildren
    return envelope?.codec === undefined ? child : { ...child, codec: envelope.codec };
  });
  const { job } = jobs[at] as PlannedJob;
  return { ...job, envelope: { ...job.envelope, children } };
}

function checkPlace({ name, options }: NewJob, { job, onFailure }: FlowOf<Asked>, isRoot: boolean): void {
  const culprit = `Job "${name}" of a flow`;
  if (onFailure !== undefined && (isRoot || !ON_FAILURE.includes(onFailure))) {
    throw new InvalidOptionError(
      isRoot
        ? `${culprit} has onFailure, and no parent: it is its first one.`
        : `${culprit} has an onFailure that is not 'failParent' or 'tellParent'.`,
    );
  }
  const asked: Readonly<Record<string, unknown>> = { ...options, ...job.options };
  const own = ['jobId', 'idempotencyKey', 'deduplication'].find(option => asked[option] !== undefined);
  if (own !== undefined && !isRoot) {
    throw new InvalidOptionError(
      `${culprit} has "${own}", which only the first one of a flow may have: the others have ids made from its own.`,
    );
  }
  if (options['deduplication'] !== undefined && job.options?.['idempotencyKey'] === undefined) {
    throw new InvalidOptionError(
      `${culprit} has a deduplication, which BullMQ does not know for flows; use idempotencyKey.`,
    );
  }
}

/** Something of each job, as the tree that was asked for. */
export function asTree<Job extends object>({ jobs }: FlowPlan, all: readonly Job[]): Tree<Job> {
  const children: Tree<Job>[][] = jobs.map(() => []);
  const trees = all.map((job, at): Tree<Job> => ({ ...job, children: children[at] ?? [] }));
  for (const [at, tree] of trees.entries()) children[jobs[at]?.parent ?? -1]?.push(tree);
  return trees[0] as Tree<Job>;
}
