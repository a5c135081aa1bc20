/**
 * When a certificate is to be made anew: when two thirds of its life are over, so that a third is left to notice that nobody does
 * it. `@pulumi/tls` has an input `earlyRenewalHours`, but by itself it does not replace a certificate that is ready for renewal.
 */
export function renewAt(notBefore: Date, notAfter: Date): Date {
  return new Date(notBefore.getTime() + ((notAfter.getTime() - notBefore.getTime()) * 2) / 3);
}
