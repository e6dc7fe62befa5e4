#!/bin/sh
# Runs the public protocol test suites against Peal.
#
#	interop/suites.sh DIR_EIO DIR_SIO
#
# DIR_EIO and DIR_SIO are the directories test-suite/ of checkouts of the Engine.IO and the Socket.IO protocol
# repositories. The suites speak to port 3000 on localhost, which must be free. Both are run; the exit status is that
# of the first failure.
set -eu

if [ $# -ne 2 ]; then
	sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
eio=$(cd "$1" && pwd)
sio=$(cd "$2" && pwd)
work=$(mktemp -d)
mkfifo "$work/out"
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT

# install brings in a suite's packages. The ws they lock is too old to deliver one message per task, which the suites
# rely on as in a browser; see node/browserlike.mjs.
install() {
	ws=$(cd "$here" && node -p 'require("./package.json").dependencies.ws')
	cd "$1"
	if [ "$(node -p 'require("./node_modules/ws/package.json").version' 2>/dev/null || true)" != "$ws" ]; then
		npm ci --no-audit --no-fund
		npm install --no-save --no-audit --no-fund "ws@$ws"
	fi
}

# run PROFILE DIR runs one suite against a fresh server.
run() {
	(install "$2")
	"$work/server" --listen 127.0.0.1:3000 --profile "$1" >"$work/out" &
	server=$!
	# The server prints one line, once it listens; the pipe ends without it if the server does.
	read -r line <"$work/out" || { wait "$server" || true; server=; return 1; }
	echo "$1: $line"
	result=0
	(cd "$2" && NODE_OPTIONS="--import file://$here/node/browserlike.mjs" npx --no-install mocha test-suite.js) || result=$?
	kill "$server"
	wait "$server" || result=$?
	server=
	return "$result"
}

(cd "$here/.." && go build -o "$work/server" ./interop/server)
status=0
run eio "$eio" || status=$?
run sio "$sio" || { result=$?; [ "$status" -ne 0 ] || status=$result; }
exit "$status"
