"""What is done with the spool off the road: in its one thread, within its budget, by its ages; what couriers leave."""
