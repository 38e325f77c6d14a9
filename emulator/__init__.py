"""An AWS on this machine: moto's server, and beside it what moto leaves out. README.md tells what and why."""
