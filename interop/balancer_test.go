package interop_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// balancer is a load balancer with the configuration of deploy/, in which the addresses are made those of the test.
type balancer struct {
	name, file string
	// wrap adds what lets it run without an installation of its own, in dir.
	wrap func(conf, dir string) string
	args func(file, dir string) []string
}

var balancers = []balancer{
	{"nginx", "nginx.conf", func(conf, dir string) string {
		return fmt.Sprintf(`
daemon off;
master_process off;
error_log stderr error;
pid %[1]s/pid;
events { worker_connections 16384; }
http {
	log_format requests '$status $upstream_addr $request_method $request_uri';
	access_log %[1]s/requests requests;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
%[2]s
}
`, dir, conf)
	}, func(file, dir string) []string { return []string{"-e", "stderr", "-p", dir, "-c", file} }},
	{"haproxy", "haproxy.cfg", func(conf, _ string) string {
		return strings.Replace(conf, "maxconn 200000", "maxconn 8000", 1) // which the limit of open files allows
	}, func(file, _ string) []string { return []string{"-q", "-db", "-f", file} }},
}

// system finds a program that Debian has where not everybody looks.
func system(name string) string {
	if binary, err := exec.LookPath(name); err == nil {
		return binary
	}
	return "/usr/sbin/" + name
}

// unequally takes nodes in turn, but not all equally often: clients that all do the same would be in step with it.
func unequally(node int) (weight int) { return node + 1 }

// equally takes one node after another.
func equally(int) (weight int) { return 1 }

// start runs the balancer before the nodes, and returns its URL and the directory that it has to itself.
func (b balancer) start(t *testing.T, weight func(node int) int, nodes ...*program) (url, dir string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close() // they take no port 0
	text, err := os.ReadFile(filepath.Join("../deploy", b.file))
	if err != nil {
		t.Fatal(err)
	}
	conf := string(text)
	replace := func(old, with string) {
		t.Helper()
		if !strings.Contains(conf, old) {
			t.Fatalf("deploy/%s has no %q", b.file, old)
		}
		conf = strings.ReplaceAll(conf, old, with)
	}
	switch b.name {
	case "nginx":
		replace("listen 80;", "listen "+addr+";")
	case "haproxy":
		replace("bind :80", "bind "+addr)
	}
	for i, n := range nodes {
		old := fmt.Sprintf("10.0.0.%d:8080", 7+i)
		if b.name == "nginx" { // it takes turns for new clients and for sessions, which would be in step as well
			replace(old+" max_fails", fmt.Sprintf("%s weight=%d max_fails", n.addr, weight(len(nodes)-1-i)))
			replace(old, fmt.Sprintf("%s weight=%d", n.addr, weight(i)))
			continue
		}
		replace(old, fmt.Sprintf("%s weight %d", n.addr, weight(i)))
	}
	dir = t.TempDir()
	file := filepath.Join(dir, b.file)
	if err := os.WriteFile(file, []byte(b.wrap(conf, dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(system(b.name), b.args(file, dir)...)
	output := newTranscript()
	cmd.Stderr, cmd.Stdout = output, output
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s, which scripts/setup-tests installs: %v", b.name, err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it was told to end
		close(exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
	})
	for deadline := time.Now().Add(patience); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			return "http://" + addr, dir
		}
		select {
		case <-exited:
			text, _ := output.read()
			t.Fatalf("%s ended: %s", b.name, text)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v", b.name, err)
		}
	}
}

// IPVS is in the kernel, which a test cannot have to itself: what sets it up reads its configuration at least.
func TestKeepalivedConfiguration(t *testing.T) {
	t.Parallel()
	check := func(file string) (string, error) {
		out, err := exec.Command(system("keepalived"), "--config-test", "--use-file", file).CombinedOutput()
		return string(out), err
	}
	if out, err := check("../deploy/keepalived.conf"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	text, err := os.ReadFile("../deploy/keepalived.conf")
	if err != nil {
		t.Fatal(err)
	}
	wrong := filepath.Join(t.TempDir(), "wrong.conf")
	if err := os.WriteFile(wrong, []byte(strings.Replace(string(text), "lb_algo wlc", "lb_algo none", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := check(wrong); err == nil {
		t.Errorf("a wrong configuration is taken: this tests nothing\n%s", out)
	}
}
