/** A file in AssemblyScript and what it imports, compiled to WebAssembly, in base64 (`assembly/plugin.js`). */
declare module "*?wasm" {
  const program: string;
  export default program;
}
