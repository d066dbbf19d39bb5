/** `@WorkerProcessor`: a provider that handles jobs of an entity type. Neighbour: `explorer.ts` reads its metadata. */
import { InvalidCommandError, InvalidOptionError } from '../../core/model/errors.js';
import { checkEntityOptions } from '../../core/options/checks.js';
import { markAsEntryProvider, setMetadata, type WorkerProcessorOptions } from './metadata.js';
import { isName } from './option-checks.js';

/**
 * Makes a provider handle jobs of an entity type, in addition to CQRS handlers or instead of them. Its options take precedence over
 * those of the type in `entities`.
 *
 * @example
 * ```ts
 * @WorkerProcessor({ entityType: 'account' })
 * @Injectable()
 * export class AccountProcessor {
 *   @JobHandler('audit')
 *   async audit(job: Job, entityId: string) {}
 * }
 * ```
 * @throws InvalidCommandError (at import) when there is no entity type, InvalidOptionError or UnsupportedError for a refused option.
 */
export function WorkerProcessor(options: WorkerProcessorOptions): ClassDecorator {
  return target => {
    if (!isName(options?.entityType)) {
      throw new InvalidCommandError(`@WorkerProcessor of ${target.name} needs an entityType, such as 'account'.`);
    }
    const { entityType: _, enhancers, ...own } = options;
    checkEntityOptions(`@WorkerProcessor(${target.name})`, own);
    if (enhancers !== undefined && typeof enhancers !== 'boolean') {
      throw new InvalidOptionError(`@WorkerProcessor(${target.name}).enhancers must be a boolean.`);
    }
    // guards: worker-processor.decorator.WorkerProcessor
    if (enhancers) markAsEntryProvider(target);
    setMetadata(target, 'processor', options);
  };
}
