package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"

	"github.com/peal-dev/peal/gateway"
	"github.com/peal-dev/peal/web"
)

// serveCommand is `peal serve`.
type serveCommand struct {
	gateway.Config `embed:""`

	Workers  int        `default:"1" placeholder:"N" help:"Processes that serve --listen together, on Linux: a cluster of this machine, if --cluster names no other (default ${default})."`
	File     string     `name:"config" placeholder:"FILE" help:"YAML file with the names of these flags as keys. Flags and the environment win over it."`
	LogLevel slog.Level `default:"info" placeholder:"LEVEL" choices:"debug,info,warn,error" help:"debug, info, warn or error (default ${default})."`
	LogJSON  bool       `name:"log-json" help:"Log JSON objects instead of key=value lines."`
}

// BeforeResolve reads the configuration file, whose place the flags and the environment have told by now.
func (*serveCommand) BeforeResolve(ctx *kong.Context) error {
	flags := ctx.Selected().Flags
	for _, flag := range flags {
		if flag.Name != fileFlag {
			continue
		}
		path, ok := ctx.FlagValue(flag).(string)
		if !ok || path == "" {
			return nil
		}
		resolver, err := loadFile(path, flags)
		if err != nil {
			return err
		}
		ctx.AddResolver(resolver)
	}
	return nil
}

// Run serves until ctx is done.
func (c *serveCommand) Run(ctx context.Context, streams streams) error {
	c.Logger = newLogger(streams.err, c.LogLevel, c.LogJSON)
	if orders := os.Getenv(workerVariable); orders != "" {
		return c.work(ctx, orders)
	}
	if c.Workers != 1 {
		return c.supervise(ctx, streams)
	}
	err := gateway.Run(ctx, c.Config, func(s *gateway.Server) {
		c.Logger.Info("listening", "addr", s.Addr(), "url", s.URL(), "node", s.Node(), "cluster", c.Cluster != "", "dev", c.Dev)
		announce(streams.out, s, &c.Config)
		if c.Cluster != "" {
			c.Logger.Info("joining the cluster; /readyz is red until that answers, and this node keeps trying")
		}
	})
	if err == nil {
		c.Logger.Info("stopped")
	}
	return err
}

func newLogger(w io.Writer, level slog.Level, asJSON bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// announce prints where everything is.
func announce(w io.Writer, s *gateway.Server, c *gateway.Config) {
	announceURLs(w, s.URL(), s.InternalURL(), c.Dev)
}

func announceURLs(w io.Writer, url, internal string, dev bool) {
	if internal == "" {
		internal = url
	}
	client := "from npm or a CDN: this binary was built without it"
	if web.HasClient() {
		client = url + "/socket.io/socket.io.js"
	}
	lines := [][2]string{
		{"Playground", internal + "/"},
		{"Socket.IO", url + "/socket.io/"},
		{"Client", client},
		{"Events", url + "/v1/events?room=ROOM"},
		{"Publish", url + "/v1/publish"},
		{"Metrics", internal + "/metrics"},
		{"Readiness", internal + "/readyz"},
	}
	text := "Peal is listening on " + url + "\n"
	for _, line := range lines {
		text += fmt.Sprintf("  %-11s %s\n", line[0], line[1])
	}
	if dev {
		text += "  --dev is on: whoever reaches this address may subscribe and publish.\n"
	}
	// A node serves whether or not anybody reads this.
	_, _ = io.WriteString(w, text)
}
