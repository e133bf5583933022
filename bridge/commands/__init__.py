"""What an operator may change while the bridge runs, behind the control socket."""
