import { Delivery } from "../cluster/delivery.ts";
import type { DeliveryContext, Order } from "../cluster/delivery.ts";
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
 * @param order where a master must be asked again
 */
export function fanOut(
  context: DeliveryContext,
  topology: Topology,
  request: Request,
  plan: { readonly merge: Merge; readonly readonly: boolean; readonly exclusive: boolean; readonly frame?: Buffer },
  settle: Settle,
  order: Order,
): readonly Delivery[] {
  const slots = representativeSlots(topology);
  const bytes = plan.frame ?? request.frame.subarray(request.start, request.end);
  if (slots.length === 0) {
    settle(encodeError("CLUSTERDOWN no node owns a hash slot; the command was not executed"));
    return [];
  }
  const { readonly, exclusive } = plan;
  const replies = new Array<Buffer>(slots.length);
  let missing = slots.length;
  const deliveries = slots.map((slot, i) => {
    const got = (reply: Buffer): void => {
      replies[i] = reply;
      if (--missing === 0) settle(mergeReplies(plan.merge, replies));
    };
    return new Delivery(context, { request: bytes, slot, readonly, exclusive }, got, order);
  });
  for (const delivery of deliveries) delivery.start();
  return deliveries;
}
