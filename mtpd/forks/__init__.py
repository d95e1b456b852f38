"""Jobs that start at once, where no GPU is: forks of one process that has imported the libraries.

Importing torch and MMDetection takes seconds, in every job anew. So a run of the workflow on its
own machine starts one process that does it once (:mod:`mtpd.forks.server`). The shell function
``mtpd`` of its jobs asks that process for a fork (:mod:`mtpd.forks.ask`), which then is the job:
its arguments, folder, environment and output are the caller's, signals are handed on to it, and
the caller ends as it ends. Where the process is not there, the command is run as it always was.

With a GPU jobs stay processes of their own: CUDA does not survive a fork once a library has
looked for devices, and MMEngine does that when it is imported.
"""
