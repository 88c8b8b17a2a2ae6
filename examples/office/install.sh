#!/bin/sh
# Installs fpml from this bundle on a machine without network: sh install.sh [FOLDER] (default: /opt/fpml).
# Needs the Python that the bundle was made with (see MADE_FOR), and nothing else.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
where=${1:-/opt/fpml}
python=${PYTHON:-python3}
made=$(cat "$here/MADE_FOR")
now=$("$python" -c 'import platform, sys; print("%d.%d %s %s" % (*sys.version_info[:2], platform.system(), platform.machine()))')
if [ "$made" != "$now" ]; then
  echo "This bundle is for Python $made; here is $now. Make one on such a machine, or set PYTHON." >&2
  exit 2
fi
(cd "$here" && sha256sum --quiet -c SHA256SUMS) || { echo "The bundle is damaged: copy it again." >&2; exit 3; }
"$python" -m venv "$where/.venv"
"$where/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --find-links "$here/wheels" fpml
"$where/.venv/bin/fpml" --help >/dev/null
echo "fpml lies in $where/.venv/bin/fpml. Next: fpml init FOLDER"
