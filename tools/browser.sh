#!/bin/sh
# Makes sure that the browser tests have a browser. The last line on stdout is the path of the one found,
# or nothing where Playwright uses its own download. Everything else goes to stderr or, on failure, to a log.
set -u
cd "$(dirname "$0")/.." || exit 1

python=.venv/bin/python
[ -x "$python" ] || python=python3

found() {
    path=$("$python" tests/browser_path.py) && [ -n "$path" ] && echo "$path"
}

playwrights_own_starts() {
    "$python" - >>"$log" 2>&1 <<'PYTHON'
from playwright.sync_api import sync_playwright

with sync_playwright() as playwright:
    playwright.chromium.launch().close()
PYTHON
}

apt_install() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif sudo -n true 2>/dev/null; then
        sudo='sudo -n'
    else
        return 1
    fi
    echo "Installing Chromium with apt-get (some minutes)" >&2
    # A package list that cannot be refreshed need not be the one that holds Chromium.
    $sudo apt-get update >>"$log" 2>&1 </dev/null
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
        install -y --no-install-recommends chromium >>"$log" 2>&1 </dev/null
}

playwright_install() {
    echo "Downloading Playwright's Chromium (some minutes)" >&2
    "$python" -m playwright install chromium >>"$log" 2>&1 </dev/null
}

found && exit
log=$(mktemp) || exit 1
if playwrights_own_starts; then :
elif apt_install && found; then :
elif playwright_install && playwrights_own_starts; then :
else
    echo "No browser for the tests: install Google Chrome or Chromium, or set CHROMIUM to one (log: $log)" >&2
    exit 1
fi
rm -f "$log"
