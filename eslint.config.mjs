import tseslint from "typescript-eslint";

/** The one way through the house: who may import what (DESIGN.md, "Layers"). */
const layer = (folder, allowed) => ({
  files: [`src/${folder}/**/*.ts`],
  rules: {
    "@typescript-eslint/no-restricted-imports": [
      "error",
      { patterns: [{ regex: `^(?!${allowed.join("|")})`, message: `src/${folder} may import only: ${allowed.join("  ")}` }] },
    ],
  },
});

export default tseslint.config(
  { ignores: ["dist/", "node_modules/", "examples/*/node_modules/", "docs/"] },
  {
    files: ["**/*.ts"],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { project: "tsconfig.all.json", tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": "off",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "no-restricted-syntax": ["error", { selector: "TSNonNullExpression", message: "no `!`" }],
    },
  },
  {
    // A test's function may be async to be one of many; a test's strings are ASCII.
    files: ["test/**/*.ts"],
    rules: { "@typescript-eslint/require-await": "off", "@typescript-eslint/no-misused-spread": "off" },
  },
  layer("core", ["zod$", "node:crypto$", "\\./", "\\.\\./(values|files|netfilter|links|sudoers|errors)"]),
  // Each match is a file of its own that knows values, what a packet is, and nothing else of the house.
  layer("core/netfilter/matches", ["\\./", "\\.\\./packet$", "\\.\\./\\.\\./values/"]),
  layer("host", ["zod$", "ssh2$", "tar-stream$", "node:", "\\./", "\\.\\./core/"]),
  layer("providers", ["zod$", "node:(crypto|module)$", "@pulumi/pulumi$", "\\./", "\\.\\./(core|host)/"]),
  layer("resources", ["@pulumi/pulumi$", "node:(module|path)$", "\\./"]),
  layer("cli", ["zod$", "commander$", "cli-table3$", "node:", "\\./", "\\.\\./(core|host|providers)/"]),
  {
    // The words of the special-purpose registry are the one type that arguments and intent share.
    files: ["src/resources/leak-fence.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": [
        "error",
        { patterns: [{ regex: "^\\.\\./", allowTypeImports: true, message: "src/resources imports only types from src/core" }] },
      ],
    },
  },
);
