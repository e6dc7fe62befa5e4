package cli_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/peal-dev/peal/gateway"
	"github.com/peal-dev/peal/gateway/cli"
)

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "peal.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What is not set must be what the library takes for a zero field.
func TestDefaultsAreTheLibrarys(t *testing.T) {
	got, err := cli.Config("--dev")
	if err != nil {
		t.Fatal(err)
	}
	want := gateway.Config{Dev: true, Namespaces: []string{"/"}, ClusterKey: gateway.DefaultClusterKey,
		MaxBody: gateway.DefaultMaxBody, MaxRooms: gateway.DefaultMaxRooms, MaxPublishRate: gateway.DefaultMaxPublishRate, SendBuffer: gateway.DefaultSendBuffer, PollBuffer: gateway.DefaultPollBuffer, MaxConnections: gateway.DefaultMaxConnections,
		PingInterval: gateway.DefaultPingInterval, PingTimeout: gateway.DefaultPingTimeout,
		KeepAlive: gateway.DefaultKeepAlive, RecoveryBuffer: gateway.DefaultRecoveryBuffer, ShutdownTimeout: gateway.DefaultShutdownTimeout}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Flag before environment before file before default, for every kind of value.
func TestPrecedence(t *testing.T) {
	file := writeFile(t, `
dev: true
listen: :1
namespace: [/file, /other]
max-rooms: 1
keep-alive: 1s
api-key: 12345
`)
	for _, test := range []struct {
		name       string
		env        map[string]string
		args       []string
		listen     string
		namespaces []string
		maxRooms   int
		keepAlive  time.Duration
		dev        bool
	}{
		{"default", nil, []string{"--api-key=k"}, "", []string{"/"}, 1000, 15 * time.Second, false},
		{"file", nil, []string{"--config", file}, ":1", []string{"/file", "/other"}, 1, time.Second, true},
		{"environment", map[string]string{"PEAL_LISTEN": ":2", "PEAL_NAMESPACE": "/env,/two", "PEAL_MAX_ROOMS": "2", "PEAL_KEEP_ALIVE": "2s", "PEAL_DEV": "true"},
			nil, ":2", []string{"/env", "/two"}, 2, 2 * time.Second, true},
		{"environment over file", map[string]string{"PEAL_LISTEN": ":2", "PEAL_NAMESPACE": "/env", "PEAL_MAX_ROOMS": "2", "PEAL_KEEP_ALIVE": "2s", "PEAL_DEV": "false"},
			[]string{"--config", file}, ":2", []string{"/env"}, 2, 2 * time.Second, false},
		{"file named by the environment", map[string]string{"PEAL_CONFIG": file}, nil, ":1", []string{"/file", "/other"}, 1, time.Second, true},
		{"flag over environment over file", map[string]string{"PEAL_LISTEN": ":2", "PEAL_NAMESPACE": "/env", "PEAL_MAX_ROOMS": "2"},
			[]string{"--config", file, "--listen", ":3", "--namespace", "/flag", "--namespace", "/more", "--max-rooms", "3"},
			":3", []string{"/flag", "/more"}, 3, time.Second, true},
		{"flag over file", nil, []string{"--config", file, "--keep-alive=3s", "--dev=false"}, ":1", []string{"/file", "/other"}, 1, 3 * time.Second, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			if test.env != nil && !test.dev {
				t.Setenv("PEAL_API_KEY", "k")
			}
			got, err := cli.Config(test.args...)
			if err != nil {
				t.Fatal(err)
			}
			if got.Listen != test.listen || !reflect.DeepEqual(got.Namespaces, test.namespaces) || got.MaxRooms != test.maxRooms ||
				got.KeepAlive != test.keepAlive || got.Dev != test.dev {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int{"1MiB": 1 << 20, "1mib": 1 << 20, "500kB": 500_000, "64 KiB": 64 << 10, "1048576": 1 << 20, "0.5MiB": 512 << 10} {
		file := writeFile(t, "dev: true\nmax-body: "+text+"\n")
		fromFile, err := cli.Config("--config", file)
		if err != nil || fromFile.MaxBody != want {
			t.Errorf("max-body: %s in the file is %d, %v; want %d", text, fromFile.MaxBody, err, want)
		}
		fromFlag, err := cli.Config("--dev", "--send-buffer", text)
		if err != nil || fromFlag.SendBuffer != want {
			t.Errorf("--send-buffer %s is %d, %v; want %d", text, fromFlag.SendBuffer, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "1 mile", "1MiB1", "99999999999TiB", "NaN"} {
		if got, err := cli.Config("--dev", "--max-body", text); err == nil {
			t.Errorf("--max-body %q is %d, want an error", text, got.MaxBody)
		}
	}
}

func TestFormatSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{1 << 20: "1MiB", 64 << 10: "64KiB", 1 << 19: "512KiB", 1_000_000: "1000000", 1<<20 + 1: "1048577", 0: "0B"} {
		if got := cli.FormatSize(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}

// Every flag tells its default, and what a variable sets is the same setting wherever it is read.
func TestFlagsSayWhatTheyDo(t *testing.T) {
	t.Parallel()
	names := map[string]string{}
	for _, flag := range cli.Flags() {
		if flag.HasDefault && flag.Default != "" && !strings.Contains(flag.Help, flag.Default) {
			t.Errorf("peal %s --%s: the help does not tell the default, %s", flag.Command, flag.Name, flag.Default)
		}
		if flag.Help == "" {
			t.Errorf("peal %s --%s has no help", flag.Command, flag.Name)
		}
		for _, variable := range flag.Envs {
			if before, ok := names[variable]; ok && before != flag.Name {
				t.Errorf("%s sets --%s and --%s", variable, before, flag.Name)
			}
			names[variable] = flag.Name
		}
	}
	if names["PEAL_LISTEN"] != "listen" || names["PEAL_API_KEY"] != "api-key" || names["PEAL_URL"] != "url" {
		t.Errorf("the variables are %v", names)
	}
}

// PEAL_NAMESPACE is the list of a node's namespaces. A client that runs beside it must not take that for its own.
func TestSettingsOfANodeAreNotThoseOfAClient(t *testing.T) {
	t.Setenv("PEAL_NAMESPACE", "/a,/b")
	t.Setenv("PEAL_LISTEN", "nonsense")
	if code, stdout, stderr := run(t, "pub", "--url", "http://127.0.0.1:1"); code != 1 || !strings.Contains(stderr, "is the node running") || strings.Contains(stderr, "means nothing") {
		t.Errorf("%d\n%s%s", code, stdout, stderr)
	}
}

func TestUnknownVariables(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"PEAL_LISTN", ":1", "peal: the variable PEAL_LISTN means nothing; did you mean PEAL_LISTEN?\n"},
		{"PEAL_APIKEY", "k", "peal: the variable PEAL_APIKEY means nothing; did you mean PEAL_API_KEY?\n"},
		{"PEAL_PORT", "8080", "peal: the variable PEAL_PORT means nothing; "},
		{"PEAL_QWERTYUIOPASDFGHJ", "", "peal serve --help lists"},
		{"PEAL_PORT", "tcp://10.0.0.1:8080", ""},
		{"PEAL_PORT_8080_TCP_ADDR", "10.0.0.1", ""},
		{"PEAL_SERVICE_PORT_HTTP", "8080", ""},
		{"PEAL_REDIS_SERVICE_HOST", "10.0.0.1", ""},
		{"PEAL_REDIS_PORT", "tcp://10.0.0.1:6379", ""},
		{"APPEAL_LISTN", "1", ""},
		{"PEAL_LOG_LEVEL", "debug", ""},
	} {
		t.Run(test.name+"="+test.value, func(t *testing.T) {
			t.Setenv(test.name, test.value)
			code, stdout, stderr := run(t, "version")
			if code != 0 || stdout == "" || !strings.Contains(stderr, test.want) || test.want == "" && stderr != "" {
				t.Errorf("%d\n%s%s", code, stdout, stderr)
			}
		})
	}
}

func TestConfigurationErrors(t *testing.T) {
	for _, test := range []struct {
		name string
		env  string
		file string
		args []string
		want string
	}{
		{name: "unknown key", file: "dev: true\nallow_origin: '*'\n", want: `peal.yaml:2: unknown key "allow_origin"; did you mean "allow-origin"?`},
		{name: "nothing near", file: "x: 1\n", want: `unknown key "x"; there are listen, dev, api-key`},
		{name: "the file cannot name a file", file: "config: other.yaml\n", want: `unknown key "config"`},
		{name: "every unknown key", file: "lisen: 1\nredis_url: 2\n", want: `redis_url`},
		{name: "bad value in the file", file: "max-rooms: many\n", want: "--max-rooms"},
		{name: "a map", file: "cluster: {url: x}\n", want: "cluster: expected a value or a list"},
		{name: "no map", file: "- listen\n", want: "expected keys and values"},
		{name: "no YAML", file: "a: [\n", want: "yaml: "},
		{name: "bad value in the environment", env: "PEAL_KEEP_ALIVE", want: "PEAL_KEEP_ALIVE"},
		{name: "missing file", args: []string{"--config", "nowhere.yaml"}, want: "nowhere.yaml: no such file"},
		{name: "unknown flag", args: []string{"--lissten", ":1"}, want: `did you mean "--listen"`},
		{name: "nobody may", want: "--api-key"},
		{name: "invalid setting", args: []string{"--dev", "--listen", "x"}, want: "--listen"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.env != "" {
				t.Setenv(test.env, "soon")
			}
			args := test.args
			if test.file != "" {
				args = append(args, "--config", writeFile(t, test.file))
			}
			if _, err := cli.Config(args...); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want … %s …", err, test.want)
			}
		})
	}
}

func TestParseFile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want string }{
		{"", "[]"},
		{"# only a comment\n", "[]"},
		{"---\n", "[]"},
		{"a: x\nb: [1, 'two', true]\n", "[a:x b:1,two,true]"},
		{"b: ['with,comma', x]\n", `[b:with\,comma,x]`},
		{"a: &anchor 007\nb: *anchor\n", "[a:007 b:007]"},
	} {
		if got, err := cli.ParseFile(test.text); err != nil || got != test.want {
			t.Errorf("%q: got %s, %v; want %s", test.text, got, err, test.want)
		}
	}
	for _, text := range []string{"a: 1\na: 2\n", "b: [[1]]\n", "b: {}\n", "\t", "a"} {
		if got, err := cli.ParseFile(text); err == nil || !strings.HasPrefix(err.Error(), "f.yaml:") {
			t.Errorf("%q: got %s, %v; want an error with the file's name", text, got, err)
		}
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add("a: x\nb: [1, 2]\n")
	f.Add("a: &x {b: *x}\n")
	f.Add("*a: 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := cli.ParseFile(text); err != nil && !strings.HasPrefix(err.Error(), "f.yaml:") {
			t.Errorf("%q: %v", text, err)
		}
	})
}
