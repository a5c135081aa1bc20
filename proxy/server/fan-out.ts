import { Delivery } from "../cluster/delivery.ts";
import type { DeliveryContext, Turn } from "../cluster/delivery.ts";
import { encodeError } from "../resp/encoder.ts";
import type { Request } from "../resp/request-parser.ts";
import type { Merge } from "../routing/merge.ts";
import { mergeReplies } from "../routing/merge.ts";
import type { Topology } from "../routing/topology.ts";
import { representativeSlots } from "../routing/topology.ts";

/** Gets the one reply that several became. */
type Settle = (reply: Buffer) => void;

/**
 * Sends one request to every master and merges the replies, in the order of the slots they own.
 *
 * @param turn asked where a master must be asked again
 */
export function fanOut(
  context: DeliveryContext,
  topology: Topology,
  request: Request,
  plan: { readonly merge: Merge; readonly readonly: boolean; readonly exclusive: boolean; readonly frame?: Buffer },
  settle: Settle,
  turn: Turn,
): readonly Delivery[] {
  const slots = representativeSlots(topology);
  const bytes = plan.frame ?? request.frame.subarray(request.start, request.end);
  if (slots.length === 0) {
    settle(encodeError("CLUSTERDOWN no node owns a hash slot; the command was not executed"));
    return [];
  }
  const parcels = slots.map((slot) => ({ request: bytes, slot, readonly: plan.readonly, exclusive: plan.exclusive }));
  return deliverAll(context, parcels, turn, (replies) => {
    settle(mergeReplies(plan.merge, replies));
  });
}

function deliverAll(
  context: DeliveryContext,
  parcels: readonly { request: Buffer; slot: number; readonly: boolean; exclusive: boolean }[],
  turn: Turn,
  settle: (replies: Buffer[]) => void,
): readonly Delivery[] {
  const replies = new Array<Buffer>(parcels.length);
  let missing = parcels.length;
  const deliveries = parcels.map(
    (parcel, i) =>
      new Delivery(
        context,
        parcel,
        (reply) => {
          replies[i] = reply;
          if (--missing === 0) settle(replies);
        },
        turn,
      ),
  );
  for (const delivery of deliveries) delivery.start();
  return deliveries;
}
