//! States, data sets, jobs and loops: what runs plans.
