// How the scripts that run in the page are checked; `make test-lint` runs it.

import js from "@eslint/js";
import globals from "globals";

const AS_MARKUP = "text that is put in as markup can be anybody's: use textContent or createElement";

export default [
  {
    files: ["convviz_widgets/widgets/page/*.js", "eslint.config.js"],
    ...js.configs.recommended,
  },
  {
    files: ["convviz_widgets/widgets/page/*.js"],
    languageOptions: { globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "eqeqeq": "error",
      "no-console": "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: AS_MARKUP },
        { property: "outerHTML", message: AS_MARKUP },
        { property: "insertAdjacentHTML", message: AS_MARKUP },
        { property: "setHTMLUnsafe", message: AS_MARKUP },
        { property: "createContextualFragment", message: AS_MARKUP },
        { property: "parseFromString", message: AS_MARKUP },
        { property: "srcdoc", message: AS_MARKUP },
        { object: "document", property: "write", message: AS_MARKUP },
        { object: "document", property: "writeln", message: AS_MARKUP },
      ],
      "no-shadow": "error",
      "no-unused-vars": ["error", { args: "all" }],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
    },
  },
];
