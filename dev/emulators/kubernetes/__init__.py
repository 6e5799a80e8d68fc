"""What of a cluster an API server alone does not do: the Job controller, the kubelets, and the garbage collector for
Jobs. Works on any API server, in memory or real; where kube-controller-manager runs, the kubelets alone are played
(`nodes`). It runs nothing (`dev.emulators.commands`)."""
