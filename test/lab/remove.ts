import { Lab } from "./lab.ts";
await Lab.remove(process.argv[2]!);
process.exit();
