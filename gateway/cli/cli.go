package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/peal-dev/peal/gateway"
)

// Exit codes of [Main].
const (
	exitOK    = 0
	exitError = 1 // the command failed
	exitUsage = 2 // the command was not understood
)

// commands is the grammar of the command line.
type commands struct {
	ShowVersion kong.VersionFlag `name:"version" help:"Print the version."`

	Serve   serveCommand   `cmd:"" help:"Run a node."`
	Pub     pubCommand     `cmd:"" help:"Publish an event through a node."`
	Sub     subCommand     `cmd:"" help:"Print the events of rooms as they come."`
	Topic   topicCommand   `cmd:"" help:"Make, append to, read and follow durable topics."`
	Bench   benchCommand   `cmd:"" help:"Load a node and measure what it costs."`
	Plan    planCommand    `cmd:"" help:"Work out how many servers a number of clients needs."`
	Version versionCommand `cmd:"" help:"Print the version."`

	Completion completionCommand `cmd:"" help:"Print a script that completes commands and flags in a shell."`
	Help       helpCommand       `cmd:"" help:"Explain a command."`
}

// helpCommand stands for `peal help`, which [Main] has turned into --help before anything is parsed.
type helpCommand struct {
	Command string `arg:"" optional:"" help:"The command."`
}

// streams are what a command writes to.
type streams struct{ out, err io.Writer }

// errUsage marks errors that the help would have prevented.
var errUsage = errors.New("see peal --help")

// Main runs the command line args, without the program's name, until it is done or ctx is, and returns the exit code:
// 0, 1 when the command failed, 2 when it was not understood. What was asked for goes to stdout; errors and logs go to
// stderr, and the help goes there too when no command was given.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := new(commands)
	parser := newParser(root, stdout, stderr)
	if len(args) == 0 {
		parser.Stdout = stderr
		_, _ = parser.parse([]string{"--help"})
		return exitUsage
	}
	command, err := parser.parse(args)
	switch {
	case err != nil:
		return fail(stderr, errors.Join(err, errUsage), exitUsage)
	case command == nil:
		return exitOK
	}
	warnOfVariables(stderr, os.Environ(), variables(parser.Model))
	command.BindTo(ctx, (*context.Context)(nil))
	command.Bind(streams{out: stdout, err: stderr})
	if err := command.Run(); err != nil {
		return fail(stderr, err, exitError)
	}
	return exitOK
}

// parser is kong's, and remembers whether it has printed all that was asked for.
type parser struct {
	*kong.Kong
	printed bool
}

// newParser returns the parser that fills root from flags, environment and file.
func newParser(root *commands, stdout, stderr io.Writer) *parser {
	p := new(parser)
	k, err := kong.New(root,
		kong.Name("peal"),
		kong.Description("Real-time push: Socket.IO and Server-Sent Events. Begin with peal serve --dev."),
		kong.Writers(stdout, stderr),
		// Only --help and --version come here, and Parse goes on after it.
		kong.Exit(func(int) { p.printed = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		environment(),
		sizes(),
		defaults(),
	)
	if err != nil {
		// A mistake in the tags of the structs above.
		panic(err)
	}
	p.Kong = k
	return p
}

// parse returns nil when --help or --version was all that was wanted.
func (p *parser) parse(args []string) (*kong.Context, error) {
	if len(args) > 0 && args[0] == "help" {
		isCommand := func(n *kong.Node) bool { return n.Name == args[1] }
		if len(args) > 1 && !strings.HasPrefix(args[1], "-") && !slices.ContainsFunc(p.Model.Children, isCommand) {
			args = args[1:] // the error says so
		} else {
			args = append(slices.Clone(args[1:]), "--help")
		}
	}
	command, err := p.Parse(args)
	if p.printed {
		return nil, nil
	}
	return command, err
}

func fail(stderr io.Writer, err error, code int) int {
	for line := range strings.Lines(err.Error()) {
		// Nobody is left to tell when stderr is gone.
		_, _ = fmt.Fprintf(stderr, "peal: %s\n", strings.TrimSuffix(line, "\n"))
	}
	return code
}

// defaults are the values that tags refer to.
func defaults() kong.Vars {
	return kong.Vars{
		"version":          version(),
		"listen":           gateway.DefaultListen,
		"dev_listen":       gateway.DefaultDevListen,
		"cluster_key":      gateway.DefaultClusterKey,
		"max_body":         formatSize(gateway.DefaultMaxBody),
		"max_rooms":        strconv.Itoa(gateway.DefaultMaxRooms),
		"max_publish_rate": strconv.Itoa(gateway.DefaultMaxPublishRate),
		"send_buffer":      formatSize(gateway.DefaultSendBuffer),
		"max_connections":  strconv.Itoa(gateway.DefaultMaxConnections),
		"recovery_buffer":  formatSize(gateway.DefaultRecoveryBuffer),
		"poll_buffer":      formatSize(gateway.DefaultPollBuffer),
		"ping_interval":    gateway.DefaultPingInterval.String(),
		"ping_timeout":     gateway.DefaultPingTimeout.String(),
		"keep_alive":       gateway.DefaultKeepAlive.String(),
		"shutdown_timeout": gateway.DefaultShutdownTimeout.String(),
	}
}
