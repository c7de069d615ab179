package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// testbed is everything that one `up` owns. All of it belongs to the main
// goroutine; the others only send on the channels.
type testbed struct {
	dir       string
	processes []*process
	clusters  []*cluster
	exits     chan exit  // a child has ended
	stages    chan stage // a cluster has come further
	out       *json.Encoder
	grace     time.Duration
	audit     bool
	compact   time.Duration

	versions []string // of cluster 1, 2, ..., and from the first again
	stream   bool
	// an aggregated API for each cluster
	aggregated bool
	remove     bool
	began      bool // the folder is ours

	apiserverArgs, managerArgs, schedulerArgs []string
}

func up(args []string) error {
	bed := &testbed{
		exits:  make(chan exit),
		stages: make(chan stage),
		out:    json.NewEncoder(os.Stdout),
	}
	flags := flag.NewFlagSet("up", flag.ExitOnError)
	flags.StringVar(&bed.dir, "dir", "", "folder for data, certificates and logs; empty or absent (required)")
	count := flags.Int("clusters", 1, "number of clusters, named c1 to cN")
	versions := flags.String("versions", ownVersion(), "Kubernetes versions of the clusters in turn, such as 1.33,1.36")
	flags.BoolVar(&bed.stream, "stream", false, "a node "+streamNode+" whose pods can be exec'ed into and forwarded to")
	flags.BoolVar(&bed.aggregated, "aggregated", false, "an aggregated API "+aggregatedGroup+", component `aggregated`, that can be killed")
	flags.BoolVar(&bed.remove, "remove", false, "remove DIR at the end")
	etcd := flags.String("etcd", "shared", "shared: one etcd for all clusters; each: one for every cluster")
	flags.DurationVar(&bed.compact, "compaction", 5*time.Minute, "etcd compaction interval; a short one makes 410 Gone come soon")
	flags.BoolVar(&bed.audit, "audit", false, "record every write in DIR/logs/NAME-audit.log")
	flags.DurationVar(&bed.grace, "grace", 2*time.Second, "time between SIGTERM and SIGKILL when stopping")
	timeout := flags.Duration("timeout", 3*time.Minute, "time for all clusters to become ready")
	pass := func(name string, into *[]string) {
		flags.Func(name, "one more flag for the component; may be repeated", func(value string) error {
			*into = append(*into, value)
			return nil
		})
	}
	pass("apiserver-arg", &bed.apiserverArgs)
	pass("kcm-arg", &bed.managerArgs)
	pass("scheduler-arg", &bed.schedulerArgs)
	_ = flags.Parse(args)
	bed.versions = strings.Split(*versions, ",")
	if bed.dir == "" || *count < 1 || flags.NArg() > 0 || (*etcd != "shared" && *etcd != "each") {
		flags.Usage()
		return errors.New("wrong arguments")
	}

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE) // the reader may be gone before we are
	defer func() {
		bed.stop()
		if bed.remove && bed.began {
			_ = os.RemoveAll(bed.dir) // also when whoever started us was killed
		}
	}()
	if err := bed.start(*count, *etcd == "each"); err != nil {
		return bed.explain(err)
	}
	return bed.explain(bed.serve(signals, readLines(os.Stdin), time.After(*timeout)))
}

// start brings up etcd and every API server; controller-manager and scheduler
// follow when their API server answers, because they give up if it does not.
func (bed *testbed) start(count int, etcdEach bool) error {
	var err error
	if bed.dir, err = filepath.Abs(bed.dir); err != nil {
		return err
	}
	if entries, _ := os.ReadDir(bed.dir); len(entries) > 0 {
		return fmt.Errorf("%s is not empty", bed.dir)
	}
	if err := os.MkdirAll(filepath.Join(bed.dir, "logs"), 0o755); err != nil {
		return err
	}
	bed.began = true
	etcd := ""
	for i := 1; i <= count; i++ {
		name := fmt.Sprintf("c%d", i)
		if i == 1 || etcdEach {
			owner := ""
			if etcdEach {
				owner = name
			}
			if etcd, err = bed.startEtcd(owner); err != nil {
				return err
			}
		}
		if err := bed.startCluster(name, etcd, bed.versions[(i-1)%len(bed.versions)]); err != nil {
			return err
		}
	}
	return nil
}

func (bed *testbed) startEtcd(owner string) (string, error) {
	client, err := reservePort()
	if err != nil {
		return "", err
	}
	peer, err := reservePort()
	if err != nil {
		return "", err
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", client)
	p := bed.add(owner, ownBinary, "etcd", filepath.Join(bed.dir, "etcd", owner), url, fmt.Sprintf("http://127.0.0.1:%d", peer))
	return url, p.start(bed.exits)
}

// serve reacts until it is told to stop, or fails: before everything is ready
// the end of any child is an error, after that it is only reported.
func (bed *testbed) serve(signals <-chan os.Signal, lines <-chan string, timeout <-chan time.Time) error {
	begun := time.Now()
	waiting := len(bed.clusters)
	for {
		select {
		case <-signals:
			return nil
		case line, open := <-lines:
			if !open {
				return nil
			}
			bed.command(line)
		case e := <-bed.exits:
			p := e.process
			if !p.running || p.cmd != e.cmd {
				break // killed by a command, perhaps started again since
			}
			p.running = false
			if waiting > 0 {
				return fmt.Errorf("%s ended before the testbed was ready: %s\n%s", p.name(), p.cmd.ProcessState, tail(p.log))
			}
			bed.say(map[string]any{"exited": p.component, "cluster": p.cluster, "status": p.cmd.ProcessState.String()})
		case s := <-bed.stages:
			if s.err != nil {
				return fmt.Errorf("%s: %w", s.cluster.Name, s.err)
			}
			if !s.cluster.apiserverUp {
				s.cluster.apiserverUp = true
				if err := bed.startControllers(s.cluster); err != nil {
					return err
				}
				break
			}
			for _, p := range bed.processes {
				if p.cluster == s.cluster.Name || p.cluster == "" {
					s.cluster.PIDs[p.component] = p.cmd.Process.Pid
				}
			}
			s.cluster.ReadySeconds = time.Since(begun).Seconds()
			bed.say(s.cluster)
			if waiting--; waiting == 0 {
				timeout = nil
				bed.say(map[string]bool{"ready": true})
			}
		case <-timeout:
			return fmt.Errorf("%d of %d clusters not ready in time", waiting, len(bed.clusters))
		}
	}
}

// command carries out one line such as "kill c1 apiserver" and answers with
// one JSON line. The name of a shared etcd's cluster is "-".
func (bed *testbed) command(line string) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return
	}
	answer := map[string]any{"command": line}
	if err := bed.act(words, answer); err != nil {
		answer["error"] = err.Error()
	}
	bed.say(answer)
}

func (bed *testbed) act(words []string, answer map[string]any) error {
	if len(words) == 6 && words[0] == "issue" {
		return bed.issue(words[1], words[2], words[3], words[4], words[5], answer)
	}
	if len(words) != 3 {
		return errors.New("want: kill|start|pause|resume CLUSTER COMPONENT, or issue CLUSTER NAME USER GROUP LIFETIME")
	}
	for _, p := range bed.processes {
		if p.component != words[2] || (p.cluster != words[1] && !(p.cluster == "" && words[1] == "-")) {
			continue
		}
		if words[0] == "start" {
			if p.running {
				return errors.New("it is running")
			}
			err := p.start(bed.exits)
			answer["pid"] = p.pid()
			return err
		}
		if !p.running {
			return errors.New("it is not running")
		}
		answer["pid"] = p.pid()
		switch words[0] {
		case "kill":
			p.signal(syscall.SIGKILL)
			<-p.ended
			p.running = false
			return nil
		case "pause":
			p.signal(syscall.SIGSTOP)
			return nil
		case "resume":
			p.signal(syscall.SIGCONT)
			return nil
		}
		return fmt.Errorf("unknown command %q", words[0])
	}
	return errors.New("no such process")
}

func (bed *testbed) say(value any) { _ = bed.out.Encode(value) }

// explain also tells the reader of standard output why it goes wrong.
func (bed *testbed) explain(err error) error {
	if err != nil {
		bed.say(map[string]string{"error": err.Error()})
	}
	return err
}

// stop ends every child: asks, waits for the grace time, kills, and joins.
func (bed *testbed) stop() {
	deadline := time.After(bed.grace)
	for _, p := range bed.processes {
		if p.running {
			p.signal(syscall.SIGTERM)
			p.signal(syscall.SIGCONT) // a paused one does not hear the first
		}
	}
	for _, p := range bed.processes {
		if !p.running {
			continue
		}
		select {
		case <-p.ended:
			p.running = false
		case <-deadline:
			for _, late := range bed.processes {
				if late.running {
					late.signal(syscall.SIGKILL)
				}
			}
			deadline = nil
			<-p.ended
		}
	}
}

func readLines(file *os.File) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(file); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	return lines
}
