import { ExtendedKeyUsageExtension, KeyUsageFlags, KeyUsagesExtension } from "@peculiar/x509";

/** `allowedUses` that become bits of the keyUsage extension (RFC 5280 section 4.2.1.3). */
const KEY_USAGES: Readonly<Record<string, number>> = {
  digital_signature: KeyUsageFlags.digitalSignature,
  content_commitment: KeyUsageFlags.nonRepudiation,
  key_encipherment: KeyUsageFlags.keyEncipherment,
  data_encipherment: KeyUsageFlags.dataEncipherment,
  key_agreement: KeyUsageFlags.keyAgreement,
  cert_signing: KeyUsageFlags.keyCertSign,
  crl_signing: KeyUsageFlags.cRLSign,
  encipher_only: KeyUsageFlags.encipherOnly,
  decipher_only: KeyUsageFlags.decipherOnly,
};

/** `allowedUses` that become purposes of the extendedKeyUsage extension (RFC 5280 section 4.2.1.12). */
const EXTENDED_KEY_USAGES: Readonly<Record<string, string>> = {
  any_extended: "2.5.29.37.0",
  server_auth: "1.3.6.1.5.5.7.3.1",
  client_auth: "1.3.6.1.5.5.7.3.2",
  code_signing: "1.3.6.1.5.5.7.3.3",
  email_protection: "1.3.6.1.5.5.7.3.4",
  ipsec_end_system: "1.3.6.1.5.5.7.3.5",
  ipsec_tunnel: "1.3.6.1.5.5.7.3.6",
  ipsec_user: "1.3.6.1.5.5.7.3.7",
  timestamping: "1.3.6.1.5.5.7.3.8",
  ocsp_signing: "1.3.6.1.5.5.7.3.9",
  microsoft_server_gated_crypto: "1.3.6.1.4.1.311.10.3.3",
  netscape_server_gated_crypto: "2.16.840.1.113730.4.1",
  microsoft_commercial_code_signing: "1.3.6.1.4.1.311.2.1.22",
  microsoft_kernel_code_signing: "1.3.6.1.4.1.311.61.1.1",
};

/** Every name that `allowedUses` may hold. */
export const ALLOWED_USES: readonly string[] = [...Object.keys(KEY_USAGES), ...Object.keys(EXTENDED_KEY_USAGES)].sort();

/** The keyUsage extension (critical) of a list of uses; undefined means that the certificate has none. */
export function keyUsage(uses: readonly string[]): KeyUsagesExtension | undefined {
  const flags = uses.reduce<number>((bits, use) => bits | (KEY_USAGES[use] ?? 0), 0);
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- a set of flags is a number that the enum does not name
  return flags === 0 ? undefined : new KeyUsagesExtension(flags, true);
}

/** The extendedKeyUsage extension of a list of uses, in its order; undefined means that the certificate has none. */
export function extendedKeyUsage(uses: readonly string[]): ExtendedKeyUsageExtension | undefined {
  const purposes = uses.flatMap((use) => EXTENDED_KEY_USAGES[use] ?? []);
  return purposes.length === 0 ? undefined : new ExtendedKeyUsageExtension(purposes, false);
}
