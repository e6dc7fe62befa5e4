package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/peal-dev/peal/bench"
)

// Names of the servers.
const (
	floor      = "floor"
	peal       = "Peal"
	product    = "peal serve" // shown as Peal, where Peal as a library has no such thing
	nodejs     = "Node.js socket.io"
	zishang    = "zishang520/socket.io"
	centrifugo = "Centrifugo"
	mercure    = "Mercure"
)

// ids are the servers' names on the command line.
var ids = map[string]string{
	floor: "floor", peal: "peal", product: "peal", nodejs: "node", zishang: "zishang",
	centrifugo: "centrifugo", mercure: "mercure",
}

// zishangVersion is what the module in zishang is built with.
const zishangVersion = "v3.0.2"

// server is one of the compared servers.
type server struct {
	name    string
	shown   string // command without the machine's paths
	command string // prints where the server listens; empty for a daemon
	cluster string // command of a node; empty without Redis
	dialect bench.Dialect
	daemon  *daemon
	node    *daemon                                       // of a cluster; nil without Redis
	build   func(ctx context.Context) error               // nil: it is there
	version func(ctx context.Context, path string) string // of a daemon's program
}

// chosen reports whether a list from the command line, separated by commas, has a name; an empty list has them all.
func chosen(list, name string) bool {
	return list == "" || strings.Contains(","+list+",", ","+name+",")
}

// checkOnly finds names of peers that there are not.
func checkOnly(list string) error {
	if list == "" {
		return nil
	}
	known := map[string]bool{}
	for _, id := range ids {
		known[id] = true
	}
	for name := range strings.SplitSeq(list, ",") {
		if !known[name] {
			return fmt.Errorf("there is no peer %q", name)
		}
	}
	return nil
}

// servers returns what can be compared, before it is built into dir.
func servers(dir string, s settings) []server {
	const options = " --listen 127.0.0.1:0"
	handlers, serve := " --profile bench"+options, " serve --dev --max-publish-rate 1000000 --log-level error"+options
	node := s.node + " lab/compare/node-socketio/server.mjs"
	all := []server{
		{name: floor, shown: "lab/compare/floor", command: filepath.Join(dir, "floor"), dialect: bench.Floor},
		{name: peal, shown: "interop/server" + handlers, command: filepath.Join(dir, "server") + handlers, dialect: bench.Handlers},
		{name: product, shown: "peal" + serve, command: filepath.Join(dir, "peal") + serve, dialect: bench.Peal},
		{name: nodejs, shown: node, command: node, dialect: bench.Handlers, build: func(context.Context) error { return findNode(s.node) }},
		module(dir, zishang, zishangVersion, bench.Handlers),
		program(s.centrifugo, server{name: centrifugo, dialect: bench.Centrifugo, daemon: centrifugoDaemon(), version: centrifugoSays}),
		program(s.mercure, server{name: mercure, dialect: bench.Mercure, daemon: mercureDaemon(), version: mercureSays}),
	}
	for i, server := range all {
		switch {
		case s.redis == "":
		case server.name == nodejs:
			all[i].cluster = server.command + " 0 " + s.redis
		case server.name == peal, server.name == product:
			all[i].cluster = server.command + " --cluster " + s.redis
		case server.name == centrifugo:
			all[i].node = centrifugoNode(server.daemon.path, s.redis)
		}
	}
	return all
}

// module is a server whose program is a module of ours below this directory.
func module(dir, name, version string, dialect bench.Dialect) server {
	source := "lab/compare/" + ids[name]
	path := filepath.Join(dir, ids[name])
	return server{name: name, shown: source + " (" + version + ")", command: path, dialect: dialect, build: func(ctx context.Context) error {
		return goCommand(ctx, source, "build", "-o", path, ".")
	}}
}

// program is a server whose program is the user's, for one that runs in a directory of its own.
func program(path string, s server) server {
	s.shown = filepath.Base(path) + ":"
	found, err := exec.LookPath(path)
	if err == nil {
		s.daemon.path, err = filepath.Abs(found)
	}
	s.build = func(context.Context) error {
		switch {
		case path == "":
			return errors.New("its program was not given: --" + ids[s.name])
		case err != nil: // which names directories of this machine
			return fmt.Errorf("%s cannot be run", filepath.Base(path))
		}
		return nil
	}
	return s
}

// centrifugoSays returns what Centrifugo says of its version.
func centrifugoSays(ctx context.Context, path string) string { return output(ctx, path, "version") }

// mercureSays returns the hub's version from the list of modules in the program, which tells Caddy's when it is asked.
func mercureSays(_ context.Context, path string) string {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	const hub = "github.com/dunglas/mercure"
	for _, module := range info.Deps {
		if module.Path == hub {
			return hub + " " + module.Version
		}
	}
	return "unknown"
}

// buildTimeout bounds fetching and compiling a peer.
const buildTimeout = 10 * time.Minute

// goCommand runs the go command in a directory, as its go.mod alone says, and says in one line why it failed.
func goCommand(ctx context.Context, dir string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...) // our own arguments
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %s", args[0], reason(stderr.String(), err))
	}
	return nil
}

var (
	progress  = regexp.MustCompile(`(?m)^go: (downloading|finding|found|added) .*$`)
	checksums = regexp.MustCompile(`https?://\S*/(sumdb|lookup)/\S*`)
	address   = regexp.MustCompile(`https?://\S+`)
	spaces    = regexp.MustCompile(`\s+`)
)

// reason makes one line of what a command printed. Whose registry was asked is this machine's business.
func reason(printed string, err error) string {
	text := progress.ReplaceAllString(printed, "")
	text = address.ReplaceAllString(checksums.ReplaceAllString(text, "the checksum database:"), "the registry:")
	text = strings.TrimSpace(spaces.ReplaceAllString(text, " "))
	if text == "" {
		return err.Error()
	}
	const most = 300
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return text
}

func findNode(node string) error {
	if node == "" {
		return errors.New("left out on the command line")
	}
	if _, err := exec.LookPath(node); err != nil {
		return err
	}
	if _, err := os.Stat("lab/compare/node-socketio/node_modules/socket.io"); err != nil {
		return errors.New("its packages are missing: npm ci --prefix lab/compare/node-socketio --ignore-scripts")
	}
	return nil
}

// needs reports whether one of the chosen measurements is of a server.
func (c *comparison) needs(name string) bool {
	for _, m := range measurements(c.clients) {
		if chosen(c.measure, m.name) && slices.Contains(m.servers, name) {
			return true
		}
	}
	for _, s := range sections {
		if chosen(c.measure, s.name) && slices.Contains(s.servers, name) {
			return true
		}
	}
	return false
}

// prepare builds the chosen servers. One that cannot be built is left out and says why; without Peal there is nothing to
// compare.
func (c *comparison) prepare(ctx context.Context) error {
	for module, program := range map[string]string{".": "./cmd/peal", "lab": "./compare/floor", "interop": "./server"} {
		if err := goCommand(ctx, module, "build", "-o", c.dir+"/", program); err != nil {
			return fmt.Errorf("building the servers (run this at the root of the repository): %w", err)
		}
	}
	for _, s := range servers(c.dir, c.settings) {
		if !chosen(c.only, ids[s.name]) || !c.needs(s.name) {
			continue
		}
		if s.build != nil {
			if err := s.build(ctx); err != nil {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				fmt.Fprintf(os.Stderr, "%s is left out: %v\n", s.name, err)
				c.missing = append(c.missing, fmt.Sprintf("%s: %v", s.name, err))
				continue
			}
		}
		if s.version != nil {
			s.shown += " " + s.version(ctx, s.daemon.path)
		}
		c.servers = append(c.servers, s)
	}
	return nil
}
