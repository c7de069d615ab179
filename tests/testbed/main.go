// kubernaut-testbed is a real Kubernetes control plane in one binary, for tests
// that must not believe a simulator: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler and kubectl, linked from their Go
// modules. There is no kubelet and no container; nodes and the life of pods
// come from the simulated kubelet of libs/sim.
//
//	kubernaut-testbed up --dir DIR [...]      clusters, until standard input closes
//	kubernaut-testbed certs DIR [NODE...]     the certificates of one cluster
//	kubernaut-testbed kubeconfig FILE CONTEXT SERVER CA CERT KEY
//	kubernaut-testbed kubectl ...             kubectl of the same version
//	kubernaut-testbed bench-client ...        what client-go needs for a call, beside ours
//	kubernaut-testbed aggregated PORT CERT KEY
//	kubernaut-testbed etcd DIR CLIENT_URL PEER_URL
//	kubernaut-testbed apiserver|controller-manager|scheduler FLAGS
//
// See README.md for what `up` prints and which commands it reads.
package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func init() {
	// `up` starts its children from the main goroutine with PDEATHSIG, which
	// fires when the starting *thread* ends; so that thread must be this one.
	runtime.LockOSThread()
}

func main() {
	if len(os.Args) < 2 {
		fail(errors.New("usage: kubernaut-testbed up|certs|kubeconfig|kubectl|etcd|apiserver|controller-manager|scheduler|version ..."))
	}
	command, args := os.Args[1], os.Args[2:]
	var err error
	switch command {
	case "up":
		err = up(args)
	case "certs":
		if len(args) < 1 {
			fail(errors.New("usage: kubernaut-testbed certs DIR [NODE...]"))
		}
		err = writePKI(args[0], args[1:]...)
	case "kubeconfig":
		if len(args) != 6 {
			fail(errors.New("usage: kubernaut-testbed kubeconfig FILE CONTEXT SERVER CA CERT KEY"))
		}
		err = addContext(args[0], args[1], args[2], args[3], args[4], args[5])
	case "bench-client":
		err = benchClient(args)
	case "aggregated":
		err = serveAggregated(args)
	case "etcd":
		if len(args) != 3 {
			fail(errors.New("usage: kubernaut-testbed etcd DIR CLIENT_URL PEER_URL"))
		}
		err = runEtcd(args[0], args[1], args[2])
	case "apiserver":
		become("kube-apiserver", apiserver.NewAPIServerCommand(), args)
	case "controller-manager":
		become("kube-controller-manager", controllermanager.NewControllerManagerCommand(), args)
	case "scheduler":
		become("kube-scheduler", scheduler.NewSchedulerCommand(), args)
	case "kubectl":
		os.Args = append([]string{"kubectl"}, args...)
		err = cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand())
		if err != nil {
			os.Exit(1) // kubectl has said why
		}
	case "version":
		fmt.Println(version.Get().GitVersion)
	default:
		err = fmt.Errorf("unknown command %q", command)
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "kubernaut-testbed:", err)
	os.Exit(1)
}

// become runs a Kubernetes component as if it were this process's own program.
func become(name string, command *cobra.Command, args []string) {
	os.Args = append([]string{name}, args...)
	os.Exit(cli.Run(command))
}

// runEtcd runs a single-member etcd that trades durability for speed: it does
// not survive a crash of the machine, and does survive one of the process.
func runEtcd(dir, clientURL, peerURL string) error {
	client, err := url.Parse(clientURL)
	if err != nil {
		return err
	}
	peer, err := url.Parse(peerURL)
	if err != nil {
		return err
	}
	config := embed.NewConfig()
	config.Dir = dir
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.SocketOpts.ReusePort = true // the port is reserved by `up`
	config.UnsafeNoFsync = true
	config.QuotaBackendBytes = 2 << 30
	config.LogLevel = "error"
	server, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	return <-server.Err() // until a signal ends the process
}
