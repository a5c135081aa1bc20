import { certificateTermResource } from "./certificate-term-resource.ts";
import { clusterDeclarationResource } from "./cluster-declaration-resource.ts";
import { directoryResource } from "./directory-resource.ts";
import { onWire } from "./dispatcher.ts";
import { fileResource } from "./file-resource.ts";
import { formationResource } from "./formation-resource.ts";
import { passwordResource } from "./password-resource.ts";
import { processResource } from "./process-resource.ts";
import { protectionResource } from "./protection-resource.ts";
import { serveProvider } from "./server.ts";

serveProvider({
  version: "0.1.0",
  resources: {
    "redisaccess:index:CertificateTerm": onWire(certificateTermResource()),
    "redisaccess:index:ClusterDeclaration": onWire(clusterDeclarationResource),
    "redisaccess:index:ClusterFormation": onWire(formationResource),
    "redisaccess:index:Directory": onWire(directoryResource),
    "redisaccess:index:File": onWire(fileResource),
    "redisaccess:index:Password": onWire(passwordResource),
    "redisaccess:index:Process": onWire(processResource),
    "redisaccess:index:Protection": onWire(protectionResource),
  },
});
