import { openEmbedded } from './embedded.ts';
import type { FaultProxy, OpenProxy, ProxyChoice } from './proxy.ts';
import { openSlots } from './slots.ts';
import { openStock } from './stock.ts';

/** The proxy of the run's choice, of the kind that can do what will be asked of it. */
export function openProxy(choice: ProxyChoice, options: OpenProxy): Promise<FaultProxy> {
  if (choice.kind === 'embedded') return openEmbedded(options);
  const { needs } = options;
  const slots = needs.has('idle-kill') || needs.has('idle-reset');
  return slots ? openSlots(choice.url, options) : openStock(choice.url, options);
}
