/** Which types live pods work, on Redis. Neighbour: `lua/hosts.lua` keeps what they announce. */
import { encodeSegment } from '../../core/model/entity.js';
import { type HostedType, type Hosts, MAX_HOST_TEXTS } from '../../core/ports/hosts.js';
import type { StoreContext } from './context.js';
import { encode, type WireHostedType } from './lua/generated-wire.js';
import { inPages } from './pages.js';

/** Types in one call: while it runs, Redis does nothing else (I11). */
const TYPES_PER_CALL = 64;

export class RedisHosts implements Hosts {
  constructor(private readonly context: StoreContext) {}

  announce(types: readonly HostedType[], forMs: number): Promise<readonly (readonly string[])[]> {
    return inPages(types, TYPES_PER_CALL, page =>
      this.context.channel.call(
        'announce',
        encode.announce({ lifeMs: forMs, most: MAX_HOST_TEXTS }, page.map(hosted)),
        response => response.map(texts => (texts as unknown[]).map(String)),
      ),
    );
  }

  async withdraw(types: readonly HostedType[]): Promise<void> {
    await inPages(types, TYPES_PER_CALL, page =>
      this.context.channel.call('withdraw', encode.withdraw(page.map(hosted)), () => []),
    );
  }

  areHosted(types: readonly string[]): Promise<readonly boolean[]> {
    return inPages(types, TYPES_PER_CALL, page =>
      this.context.channel.call('areHosted', encode.areHosted(page.map(encodeSegment)), response =>
        response.map(one => one === 1),
      ),
    );
  }
}

function hosted([type, text]: HostedType): WireHostedType {
  return { type: encodeSegment(type), text };
}
