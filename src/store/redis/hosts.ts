/** Which types live pods work, on Redis. Neighbour: `lua/hosts.lua` keeps what they announce. */
import { encodeSegment } from '../../core/model/entity.js';
import { type HostedType, type Hosts, MAX_HOST_TEXTS } from '../../core/ports/hosts.js';
import type { StoreContext } from './context.js';
import { inPages } from './pages.js';

/** Types in one call: while it runs, Redis does nothing else (I11). */
const TYPES_PER_CALL = 64;

export class RedisHosts implements Hosts {
  constructor(private readonly context: StoreContext) {}

  announce(types: readonly HostedType[], forMs: number): Promise<readonly (readonly string[])[]> {
    return inPages(types, TYPES_PER_CALL, page =>
      this.context.channel.call('announce', [forMs, MAX_HOST_TEXTS, ...encoded(page)], response =>
        response.map(texts => (texts as unknown[]).map(String)),
      ),
    );
  }

  async withdraw(types: readonly HostedType[]): Promise<void> {
    await inPages(types, TYPES_PER_CALL, page => this.context.channel.call('withdraw', encoded(page), () => []));
  }

  areHosted(types: readonly string[]): Promise<readonly boolean[]> {
    return inPages(types, TYPES_PER_CALL, page =>
      this.context.channel.call('areHosted', page.map(encodeSegment), response => response.map(one => one === 1)),
    );
  }
}

function encoded(types: readonly HostedType[]): string[] {
  return types.flatMap(([type, text]) => [encodeSegment(type), text]);
}
