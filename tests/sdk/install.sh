# To be sourced in the project's folder, after install_packages.sh: copies tests/sdk to .build/sdk, with the SDKs beside it, and leaves in $node a Node that is new enough for them.
command -v node >/dev/null && command -v npm >/dev/null || install_packages nodejs npm
mkdir -p .build/sdk
cp tests/sdk/*.mjs tests/sdk/package.json .build/sdk/
(cd .build/sdk && npm install --no-audit --no-fund --loglevel=error) >&2
node=node
if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then  # v4 wants 20, Debian 12 has 18
  (cd .build/sdk && npm install --no-save --no-audit --no-fund --loglevel=error node@20) >&2
  node=$PWD/.build/sdk/node_modules/node/bin/node
fi
