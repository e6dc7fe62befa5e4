package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// envPrefix begins the environment variable of every flag: --api-key is PEAL_API_KEY.
const envPrefix = "PEAL"

// commands is the grammar of the command line.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run a node."`
	Pub     pubCommand     `cmd:"" help:"Publish an event through a node."`
	Sub     subCommand     `cmd:"" help:"Print the events of rooms as they come."`
	Bench   benchCommand   `cmd:"" help:"Load a node and measure what it costs."`
	Plan    planCommand    `cmd:"" help:"Work out how many servers a number of clients needs."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// streams are what a command writes to.
type streams struct{ out, err io.Writer }

// errUsage marks errors that the help would have prevented.
var errUsage = errors.New("see peal --help")

// Main runs the command line args, without the program's name, until it is done or ctx is, and returns the exit code.
// What was asked for goes to stdout; errors and logs go to stderr.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	command, err := parse(args, new(commands), stdout, stderr)
	switch {
	case err != nil:
		return fail(stderr, errors.Join(err, errUsage), exitUsage)
	case command == nil:
		return exitOK
	}
	command.BindTo(ctx, (*context.Context)(nil))
	command.Bind(streams{out: stdout, err: stderr})
	if err := command.Run(); err != nil {
		return fail(stderr, err, exitError)
	}
	return exitOK
}

// parse fills root from flags, environment and file. The result is nil when --help was all that was wanted.
func parse(args []string, root *commands, stdout, stderr io.Writer) (*kong.Context, error) {
	helped := false
	parser, err := kong.New(root,
		kong.Name("peal"),
		kong.Description("Real-time push: Socket.IO and Server-Sent Events. A flag can also be set in the environment: --api-key is PEAL_API_KEY."),
		kong.Writers(stdout, stderr),
		// Only --help comes here, and Parse goes on after it.
		kong.Exit(func(int) { helped = true }),
		kong.DefaultEnvars(envPrefix),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		defaults(),
	)
	if err != nil {
		// A mistake in the tags of the structs above.
		panic(err)
	}
	command, err := parser.Parse(args)
	if helped {
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

// defaults are the values that the tags of gateway.Config refer to.
func defaults() kong.Vars {
	return kong.Vars{
		"listen":           gateway.DefaultListen,
		"redis_key":        gateway.DefaultRedisKey,
		"max_body":         strconv.Itoa(gateway.DefaultMaxBody),
		"max_rooms":        strconv.Itoa(gateway.DefaultMaxRooms),
		"send_buffer":      strconv.Itoa(gateway.DefaultSendBuffer),
		"ping_interval":    gateway.DefaultPingInterval.String(),
		"ping_timeout":     gateway.DefaultPingTimeout.String(),
		"keep_alive":       gateway.DefaultKeepAlive.String(),
		"shutdown_timeout": gateway.DefaultShutdownTimeout.String(),
	}
}
