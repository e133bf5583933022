"""Shares the backlog of several gateways through RabbitMQ quorum queues, with one sealed batch per message.

::

    listeners -> spool of this node -> Publisher -> queue PREFIX.INTAKE -> Consumer -> courier -> collector
                        |                                                                 ^
                        +-------------- no broker for a while, role both -----------------+

A publisher sends each sealed batch to its intake's queue as a persistent message. It deletes the batch's file when the
broker has confirmed the message. A quorum queue confirms once a majority of its members has the message on disk. The
couriers of any node consume batches, deliver them with the same HTTP response handling, and acknowledge them after the
collector has accepted them. When a node dies, the broker gives its unacknowledged batches to another node.

Rules
    Queues are for hand-over, not for outages. They are bounded (``x-max-length-bytes``, ``reject-publish``). A batch
    that a queue rejects waits in the spool of the gateway that received it, as on a node without a shared backlog.
    A batch is in the ledger of one node at a time: the publisher's until the confirm (*handed_over*), the consumer's
    from the delivery on (*taken_over*). A consumer that requeues a batch counts it as *handed_over*. While a batch is
    in a queue, it is in no ledger.
    A batch is sent again if nobody knows whether it was published or accepted. Its events count as possible duplicates.
    A batch that was taken over is in memory only, as the queue keeps it until it is acknowledged. This memory is
    bounded.

Rejected designs
    *Events as messages*: a broker handles a few thousand messages a second, not a million.
    *A copy on the consumer's disk*: two places would each believe that they hold the only copy.
    *Dead-letter queues*: a batch that cannot be read goes to this node's quarantine, where the operator looks.
    *A delivery limit*: a parked intake requeues its batches for hours. They are no poison messages: the limit is off.

Only ``amqp`` and ``amqp_channel`` import pika. They are imported only if a shared backlog is configured.
"""
