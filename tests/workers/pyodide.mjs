// Runs a Python file in Pyodide, beside the real bindings of Miniflare. Ends with the code that the
// file says, or with 77 if there is no wheel of a package.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const given = JSON.parse(process.argv[2]);
const { loadPyodide } = createRequire(join(given.pyodide, "/"))("pyodide");
const { Miniflare, convertV4MiniflareOptions = (options) => options } = createRequire(
  join(given.workers, "/"),
)("miniflare");

const remoteProxyConnectionString = new URL(given.proxy);
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    modules: true,
    script: "export default { fetch() { return new Response() } }",
    compatibilityDate: "2026-01-01",
    d1Databases: ["DB"],
    // The server takes the index that is called like the binding.
    vectorize: Object.fromEntries(
      given.indexes.map((index) => [index, { index_name: index, remoteProxyConnectionString }]),
    ),
  }),
);
let code = 1;
try {
  code = await run(await miniflare.getBindings());
} catch (error) {
  console.error(String(error.message ?? error));
} finally {
  await miniflare.dispose();
}
process.exit(code);

function plain(name) {
  return name.toLowerCase().replaceAll("-", "_");
}

async function run(env) {
  const pyodide = await loadPyodide();
  const site = pyodide.runPython("import sysconfig; sysconfig.get_path('purelib')");
  const wheels = given.wheels ? readdirSync(given.wheels) : [];
  const quiet = { messageCallback() {}, errorCallback() {} };
  for (const name of given.packages) {
    const wheel = wheels.find((found) => found.startsWith(`${plain(name)}-`));
    if (wheel) {
      const archive = new Uint8Array(readFileSync(join(given.wheels, wheel)));
      pyodide.unpackArchive(archive, "zip", { extractDir: site });
    } else {
      await pyodide.loadPackage(name, quiet);
      if (!Object.keys(pyodide.loadedPackages).map(plain).includes(plain(name))) {
        console.error(`no wheel of ${name} for Pyodide`);
        return 77;
      }
    }
  }
  const sys = pyodide.pyimport("sys");
  for (const [at, root] of given.mounts.entries()) {
    pyodide.FS.mkdirTree(`/mounted/${at}`);
    pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root }, `/mounted/${at}`);
    sys.path.append(`/mounted/${at}`);
  }
  pyodide.globals.set("env", env);
  pyodide.globals.set("tried", given.tried);
  return await pyodide.runPythonAsync(readFileSync(given.file, "utf8"));
}
