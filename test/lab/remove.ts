// `npm run lab:remove -- <id>`: takes a lab apart that was kept.
import { Lab } from "./lab.ts";

const [id] = process.argv.slice(2);
if (id === undefined || !/^[0-9a-f]+$/.test(id)) {
  process.stderr.write("usage: npm run lab:remove -- <id>   (the id is in the lab's folder name, /tmp/tierwall-lab-<id>)\n");
  process.exit(2);
}
await Lab.remove(id);
process.exit(0);
