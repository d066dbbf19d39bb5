/**
 * Flows: jobs of several entities. A parent runs after its children.
 *
 * Owns: the checks of a flow, and the ids of its jobs. Neighbour: `enqueuer.ts` checks each job and sends them all in one step.
 */
import type { ChildRef } from '../model/envelope.js';
import { InvalidCommandError, InvalidOptionError } from '../model/errors.js';
import type { JobOptions, NewJob } from '../model/job.js';
import type { FlowJob } from '../ports/intake.js';

/**
 * What happens to the parent when a child fails without attempts left, or is removed. `'failParent'`: the parent fails too, without
 * running, once all its children have ended. `'tellParent'`: the parent runs, and `children()` tells it which child failed, and why.
 */
export type OnChildFailure = 'failParent' | 'tellParent';
const ON_FAILURE: readonly unknown[] = ['failParent', 'tellParent'] satisfies OnChildFailure[];

/** A flow as the user requests it: a job, and the flows of its children, which must end before it starts. */
export interface FlowOf<Request> {
  readonly job: Request;
  readonly onFailure?: OnChildFailure | undefined;
  /** Called for one job after the other, so that a flow that contains itself ends at the maximum number of jobs. */
  children(): readonly FlowOf<Request>[];
}

/** The parts of a request that this file reads. */
interface Asked {
  readonly name: string;
  readonly options?: JobOptions;
}

/** A value for each job of a flow, in the shape of the flow. */
export type Tree<Job> = Job & { readonly children: readonly Tree<Job>[] };

/** A flow that was checked and not sent yet. */
export interface FlowPlan {
  readonly id: string;
  readonly jobs: readonly PlannedJob[];
}

interface PlannedJob extends Omit<FlowJob, 'hint'> {
  readonly failsParent: boolean;
}

/** While Redis adds so many jobs, it does nothing else for about a tenth of a second. */
const MAX_JOBS = 1000;

/**
 * @param check checks a single request, and encodes it as a job.
 * @throws InvalidOptionError, InvalidCommandError if the flow is invalid, and the errors of `check`.
 */
export function planFlow<Request extends Asked>(root: FlowOf<Request>, check: (request: Request) => NewJob): FlowPlan {
  const jobs: PlannedJob[] = [];
  const visit = (request: FlowOf<Request>, path: string, parent: number | undefined): void => {
    if (jobs.length === MAX_JOBS) {
      throw new InvalidCommandError(
        `The flow of job "${root.job.name}" has more than ${MAX_JOBS} jobs. Nothing was enqueued; let one of its jobs enqueue a flow of its own.`,
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

/** The job at that position, with references to its children. */
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
        ? `${culprit} has onFailure, but it is the root of the flow and has no parent. Nothing was enqueued.`
        : `${culprit} has an onFailure that is neither 'failParent' nor 'tellParent'. Nothing was enqueued.`,
    );
  }
  const asked: Readonly<Record<string, unknown>> = { ...options, ...job.options };
  const own = ['jobId', 'idempotencyKey', 'deduplication'].find(option => asked[option] !== undefined);
  if (own !== undefined && !isRoot) {
    throw new InvalidOptionError(
      `${culprit} has "${own}", which only the root of a flow may have: the ids of the other jobs are made from the root's id. Nothing was enqueued.`,
    );
  }
  if (options['deduplication'] !== undefined && job.options?.['idempotencyKey'] === undefined) {
    throw new InvalidOptionError(
      `${culprit} has a deduplication, which BullMQ does not support for flows. Nothing was enqueued; use idempotencyKey.`,
    );
  }
}

/** Arranges one value per job in the shape of the flow. */
export function asTree<Job extends object>({ jobs }: FlowPlan, all: readonly Job[]): Tree<Job> {
  const children: Tree<Job>[][] = jobs.map(() => []);
  const trees = all.map((job, at): Tree<Job> => ({ ...job, children: children[at] ?? [] }));
  for (const [at, tree] of trees.entries()) children[jobs[at]?.parent ?? -1]?.push(tree);
  return trees[0] as Tree<Job>;
}
